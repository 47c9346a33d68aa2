"""fastMRI from shards: the kept columns of each slice's k-space; images are made on the device.

Shapes: B slices, h and w of an image, W columns of k-space, K the most that are kept in a batch,
A = w / 2 + 1.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from algoperf_pt.data.augment import Augment
from algoperf_pt.data.reader import Indices, ShardReader
from algoperf_pt.errors import ConfigError
from algoperf_pt.seeds import derive
from algoperf_pt.spec import SPLITS
from algoperf_pt.workload_data import EVAL_TRAIN_SEED, Batch, WorkloadData
from workloads.fastmri.kspace import magnitude, normalised, stacked_bases
from workloads.fastmri.masks import MaskRule, uniform

_CHUNK = 4  # slices that a CPU works on at once: they stay in its cache
_BLOCK = 512  # bytes: a part of a shard begins at a multiple of it


class FastmriData(WorkloadData):
    """Batches: `inputs`, `targets` [B, h, w], `mean`, `std`, `volume_max`, `weights` [B], float32.

    A training slice has one mask, which follows from the trial's seed and the slice.  Masks of
    evaluations are the same in every trial.

    Args:
        height, width: h and w; w is even.
        center_fraction, acceleration: of `MaskRule`.
        clip: standard deviations at which inputs and targets are cut.
        common: as `WorkloadData` takes them.
    """

    def __init__(
        self,
        height: int,
        width: int,
        center_fraction: float,
        acceleration: float,
        clip: float,
        **common: Any,
    ) -> None:
        super().__init__(**common)
        if width % 2:
            raise ConfigError(
                f"images of {width} columns",
                expected="an even number",
                where="workload.data.options.width",
            )
        self.height, self.width, self.clip = height, width, clip
        self.rule = MaskRule(center_fraction, acceleration)
        self._tables: dict[str, "_Table"] = {}
        self._basis: Tensor | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_tables": {}, "_basis": None}  # workers read the tables again

    def table(self, split: str) -> "_Table":
        """Widths and volume maxima of all slices, and where things begin."""
        if not self._tables:
            widths = {s: self.reader(s).all_rows("width").view(np.uint16)[:, 0] for s in SPLITS}
            found = sorted({int(width) for part in widths.values() for width in np.unique(part)})
            basis, starts = stacked_bases(found, self.width)
            self._basis = basis
            for name, part in widths.items():
                self._tables[name] = _Table.of(self.reader(name), part.astype(np.int64), starts)
        return self._tables[split]

    def train_batch(self, order: Any, step: int, augment: Augment) -> dict[str, Tensor]:
        """The slices of a step."""
        return self._load("train", order.indices(step), derive(order.seed, "mask"))

    def build(self, split: str, indices: Indices, augment: Augment | None) -> dict[str, Tensor]:
        """Slices as they are evaluated."""
        return self._load(split, indices, EVAL_TRAIN_SEED if split == "train" else None)

    def finish(self, batch: Batch) -> Batch:
        """Transform over the columns, and normalise, on the device: a quarter of k-space travels,
        and loader workers do no arithmetic.
        """
        batch = dict(batch)
        given = [batch.pop(name) for name in ("columns", "basis", "targets")]
        device = given[0].device
        self.table("train")
        assert self._basis is not None
        self._basis = basis = self._basis.to(device)
        size = _CHUNK if device.type == "cpu" else len(given[0])
        parts = [
            normalised(magnitude(columns, basis[rows]), targets, self.clip)
            for columns, rows, targets in zip(*(tensor.split(size) for tensor in given))
        ]
        return batch | {name: torch.cat([part[name] for part in parts]) for name in parts[0]}

    def _load(self, split: str, indices: Indices, seed: int | None) -> dict[str, Tensor]:
        """What travels: `columns` float32 [B, K, 2h] and `basis` int64 [B, K], as `magnitude` takes
        them (rows of the table); `targets` [B, h, w] as stored; `volume_max` [B].

        Args:
            seed: of the masks; None: one mask for all slices of a width.
        """
        table, reader = self.table(split), self.reader(split)
        seeds = [[0, 0]] if seed is None else [[seed, int(row)] for row in indices]
        widths = table.width[indices]
        kept = self.rule.kept(widths, uniform(np.array(seeds), int(widths.max())))
        column, real = _numbers(kept)
        basis = np.where(real, table.basis[indices][:, None] + column, -1)
        targets = reader.read_rows(indices, "target").view(np.float32)
        return {
            "columns": torch.from_numpy(self._columns(reader, table.start[indices], column)),
            "basis": torch.from_numpy(basis),
            "targets": torch.from_numpy(targets.reshape(-1, self.height, self.width)),
            "volume_max": torch.from_numpy(table.volume_max[indices]),
        }

    def _columns(self, reader: ShardReader, start: Indices, column: Indices) -> Any:
        """float32 [B, K, 2h]: columns [B, K] of slices that begin with column `start` [B] of the
        split; nothing else is read.
        """
        size = 8 * self.height  # bytes of a column
        item = math.gcd(_BLOCK, size)
        first = (start[:, None] + column).ravel() * (size // item)
        counts = np.full(len(first), size // item)
        flat = reader.read_spans("kspace", first, counts, np.dtype((np.void, item)))
        return flat.view(np.float32).reshape(*column.shape, 2 * self.height)


@dataclass(frozen=True)
class _Table:
    """Arrays over the slices of a split."""

    width: Indices  # W
    start: Indices  # columns of all slices before this one
    basis: Indices  # row of the table of cosines and sines where those of W begin
    volume_max: Any  # float32

    @staticmethod
    def of(reader: ShardReader, width: Indices, starts: dict[int, int]) -> "_Table":
        basis = np.array([starts[int(number)] for number in width])
        volume_max = reader.all_rows("max").view(np.float32)[:, 0]
        return _Table(width, np.cumsum(width) - width, basis, volume_max)


def _numbers(kept: Any) -> tuple[Indices, Any]:
    """(numbers, real) [B, K] of the kept columns; where a slice has less than K, column 0 stands in
    their place, and `real` is false.
    """
    counts = kept.sum(1)
    most = int(counts.max())
    order = np.argsort(~kept, axis=1, kind="stable")[:, :most]
    real = np.arange(most) < counts[:, None]
    return np.where(real, order, 0), real
