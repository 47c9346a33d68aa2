"""Which examples does a rank see at a step?  A pure function of (seed, step, rank): resume needs no
loader state.

A batch is a dict of tensors: `inputs`, `targets`, `weights` [B] (1 real, 0 padding), and what a
workload documents.
"""

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import lightning as L
import numpy as np
import torch
from torch import Tensor

from algoperf_pt.data.augment import Augment
from algoperf_pt.data.index import DataIndex
from algoperf_pt.data.loader import batches
from algoperf_pt.data.order import Order, eval_plan
from algoperf_pt.data.reader import ShardReader
from algoperf_pt.data.subset import (
    SubsetOrder,
    check_subset,
    evaluated_rows,
    kept_rows,
    stored_counts,
)
from algoperf_pt.errors import DataError
from algoperf_pt.ranks import Ranks
from algoperf_pt.seeds import derive

Batch = dict[str, Any]
Indices = np.ndarray[Any, np.dtype[np.int64]]

# The evaluated part of the training split is the same in every trial, so its numbers can be
# compared.
EVAL_TRAIN_SEED = 20230612


@dataclass(frozen=True)
class Loading:
    """How batches are loaded; no figure depends on it."""

    workers: int = 0  # processes beside the trial's; 0: in the trial's own
    prefetch: int = 2  # batches ahead per worker


class WorkloadData(L.LightningDataModule):
    """The splits of one prepared dataset.  Subclass with `build`; see workloads/mnist/data.py.

    Args:
        root: folder with index.json and the shards.
        dataset: name that the index must carry.
        preparer_version: version of the preparation that this code reads.
        num_examples: rows by split, plus "eval_train", from conf/workload; checked against the
            index.
        eval_batch_size: global.
        loading: workers and prefetch.
        subset: {of: rows that are stored, seed}: num_examples["train"] of them are trained on;
            with {validation: rows that are stored, test: ...} parts of these splits are evaluated;
            None: all.

    `heeds_subset`: whether an own `train_order` does; one that is not overridden does.
    """

    heeds_subset = False
    kept: Indices | None = None  # stored rows that are trained on; None: all
    parts: Mapping[str, Indices] = MappingProxyType({})  # rows of splits evaluated in part

    def __init__(
        self,
        root: str | Path,
        dataset: str,
        preparer_version: int,
        num_examples: dict[str, int],
        eval_batch_size: int,
        loading: Loading = Loading(),
        subset: Mapping[str, int] | None = None,
    ) -> None:
        super().__init__()
        self.root = Path(root)
        self.num_examples = dict(num_examples)
        self.eval_batch_size = eval_batch_size
        self.loading = loading
        self.index = DataIndex.open(self.root, dataset=dataset, preparer_version=preparer_version)
        self._check_counts(subset)
        if subset is not None:
            self.parts = evaluated_rows(subset, num_examples)
            if subset["of"] != num_examples["train"]:
                self.kept = kept_rows(num_examples["train"], subset["of"], subset["seed"])
        self._readers: dict[str, ShardReader] = {}

    def reader(self, split: str) -> ShardReader:
        """The split's rows; opened once in each process."""
        if split not in self._readers:
            self._readers[split] = ShardReader(self.index, split)
        return self._readers[split]

    @abstractmethod
    def build(self, split: str, indices: Indices, augment: Augment | None) -> dict[str, Tensor]:
        """Read and collate rows of a split; also runs in loader workers.

        Args:
            split: "train", "validation" or "test".
            indices: [B] rows, in batch order.
            augment: randomness of this batch's augmentation; None in evaluations.
        """

    def finish(self, batch: Batch) -> Batch:
        """What is left to do to a batch once it is on the device (normalise, mix): override it, so
        that small types travel and the device does the arithmetic.  Runs in the trial's process.
        """
        return batch

    def train_batches(
        self, global_batch_size: int, seed: int, ranks: Ranks, start: int = 0
    ) -> Iterator[Batch]:
        """This rank's endless stream of training batches, from batch number `start` on, on the
        device.
        """
        order = self.train_order(global_batch_size, seed, ranks)
        make = _TrainBatch(self, order, seed, ranks.rank, ranks.world)
        return self._stream(make, start, None, ranks)

    def train_order(self, global_batch_size: int, seed: int, ranks: Ranks) -> Any:
        """Which rows make up the batch of a step.  Override it, and `train_batch` where that takes
        more than rows, for another order than a permutation of the rows in each epoch.
        """
        arguments = (global_batch_size, seed, ranks.rank, ranks.world)
        if self.kept is not None:
            return SubsetOrder(self.kept, *arguments)
        return Order(self.num_examples["train"], *arguments)

    def stored_rows(self, places: Indices) -> Indices:
        """Rows of the stored training split at places of the one that is trained on."""
        rows: Indices = places if self.kept is None else self.kept[places]
        return rows

    def train_batch(self, order: Any, step: int, augment: Augment) -> dict[str, Tensor]:
        """This rank's batch of a step; also runs in loader workers."""
        return self.build("train", order.indices(step), augment)

    def eval_batches(self, split: str, ranks: Ranks) -> Iterator[Batch]:
        """Each example of the split once; the last batch is padded with weight 0."""
        make = _EvalBatch(self, split, ranks.rank, ranks.world)
        return self._stream(make, 0, -(-self.eval_rows(split) // self.eval_batch_size), ranks)

    def eval_rows(self, split: str) -> int:
        """Number of examples that an evaluation of the split covers."""
        return self.num_examples["eval_train" if split == "train" else split]

    def eval_index(self, split: str) -> Any:
        """Rows of the split's evaluated part in the order of its batches: `eval_rows` of them as an
        array, or anything that gives them for an int64 array of places; None for all as they are
        stored.  Of the training split, and of a split that a subset has a part of, it is a fixed
        sample.
        """
        count, n = self.num_examples["eval_train"], self.num_examples["train"]
        if split != "train":
            return self.parts.get(split)
        if count == n and self.kept is None:
            return None
        order = Order(n, count, EVAL_TRAIN_SEED, 0, 1)
        return self.stored_rows(order.indices(0))

    def row_sizes(self, split: str) -> Indices | None:
        """[N, K] what makes a stored row large (samples, tokens, atoms, ...), the most telling kind
        first; None: all are alike.  Override it where rows differ.
        """
        return None

    def one_batch(
        self, split: str, rows: Indices, ranks: Ranks, augment: Augment | None = None
    ) -> Batch:
        """These stored rows as a batch on the device, all of weight 1 unless `build` says so."""
        batch: Batch = self.build(split, rows, augment)
        batch.setdefault("weights", torch.ones(len(rows)))
        return self.finish(next(_to_device(iter([batch]), ranks.device)))

    def _stream(self, make: Any, start: int, stop: int | None, ranks: Ranks) -> Iterator[Batch]:
        cuda = ranks.device.type == "cuda"
        host = batches(make, start, stop, self.loading.workers, self.loading.prefetch, cuda)
        there = _to_device(host, ranks.device) if cuda else host
        return map(self.finish, there)

    def _check_counts(self, subset: Mapping[str, int] | None) -> None:
        if subset is not None:
            inherited = type(self).train_order is WorkloadData.train_order
            check_subset(subset, self.num_examples, able=self.heeds_subset or inherited)
        for split, expected in stored_counts(subset, self.num_examples).items():
            found = self.index.rows(split)
            if found != expected:
                left_out = len(self.index.left_out(split)) if found else 0
                note = f"; {left_out} unreadable ones were left out" if left_out else ""
                own = f", or workload.num_examples.{split}={found} for these" if left_out else ""
                raise DataError(
                    f"split {split!r} holds {found} examples{note}",
                    expected=f"{expected} (workload.num_examples.{split})",
                    where=str(self.root / "index.json"),
                    fix=f"prepare the data again from complete raw files (--force){own}",
                )


def _to_device(host: Iterator[Batch], device: torch.device) -> Iterator[Batch]:
    for batch in host:
        yield {name: tensor.to(device, non_blocking=True) for name, tensor in batch.items()}


class _TrainBatch:
    """Step -> batch; picklable, because loader workers call it."""

    def __init__(
        self, data: WorkloadData, order: Any, seed: int, rank: int, world: int
    ) -> None:
        self.data, self.order, self.seed, self.rank, self.world = data, order, seed, rank, world

    def __call__(self, step: int) -> dict[str, Tensor]:
        augment = Augment(derive(self.seed, "augment", step), self.rank, self.world)
        batch = self.data.train_batch(self.order, step, augment)
        batch.setdefault("weights", torch.ones(len(batch["targets"])))
        return batch


class _EvalBatch:
    """Number of an evaluation batch -> batch, padding rows weighted 0."""

    def __init__(self, data: WorkloadData, split: str, rank: int, world: int) -> None:
        self.data, self.split, self.rank, self.world = data, split, rank, world
        self.rows, self.n = data.eval_index(split), data.eval_rows(split)

    def __call__(self, number: int) -> dict[str, Tensor]:
        data = self.data
        plan = (self.n, data.eval_batch_size, self.rank, self.world, number)
        indices, weights = eval_plan(*plan)
        if self.rows is not None:
            indices = self.rows[indices]
        batch = data.build(self.split, indices, None)
        batch["weights"] = _without_padding(batch.get("weights"), torch.from_numpy(weights))
        return batch


def _without_padding(weights: Tensor | None, real: Tensor) -> Tensor:
    """`weights` [B, ...] of the workload (None: ones) with the padding rows' set to 0."""
    if weights is None:
        return real
    return weights * real.reshape(-1, *[1] * (weights.dim() - 1))
