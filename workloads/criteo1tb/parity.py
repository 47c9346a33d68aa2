"""Click prediction against its golden fixtures: one table for four chunks, and the raw road.

Keys of case0 are loss_ls{0,01}_{w,now}_{part}: label smoothing 0 or 0.1 (ignored), with the weights
or without.  The base fixture also has raw lines with their features, and the order of toy files.
"""

import gzip
import re
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from algoperf_pt.agreement import ABSOLUTE, EACH, Array, Check, Tolerance
from algoperf_pt.data.augment import Augment
from algoperf_pt.data.prepare import find_preparer, prepare
from algoperf_pt.parity import Answer, Parity
from algoperf_pt.ranks import Ranks
from algoperf_pt.workload import Loss, Workload
from algoperf_pt.workload_data import Batch
from workloads.criteo1tb.data import CriteoData
from workloads.criteo1tb.fingerprint import of_string
from workloads.criteo1tb.parse import INTEGERS, Where, parse_rows
from workloads.criteo1tb.prepare import DAYS, CriteoPreparer

_CHUNK = "embedding_chunk_"
_SAMPLED = 20_000_000  # elements beyond which the fixture's statistics are of every k-th one
_SAMPLED_MEAN = 40.0  # limit of init/mean then: their mean varies as that of some millions
_MLP = re.compile(r"(bot|top)_mlp\.|output\.")
_TOY_ROWS = {"train": 46, "validation": 34, "test": 38}  # one line a file before day 23, then two
_TOY_BATCH = 8


class CriteoParity(Parity):
    """Adds the chunks of the table, preprocessing and the order of files."""

    tolerances = {
        "case0/eval_logits*": Tolerance(2e-6),  # float64 is nearer to ours than to theirs
        "case0/train_grad_norms": Tolerance(1e-4, EACH),
        "case0/*_summed": Tolerance(1e-6),  # of about 5, where float32 counts by 5e-7
        "case0/evalbatch": Tolerance(1e-6),
        "case0/*": Tolerance(1e-6, ABSOLUTE),  # losses
        "preprocess/inputs": Tolerance(2e-6, ABSOLUTE),  # the ids, also in it, are compared apart
    }
    unbounded = ("top_mlp.*", "*.bias")  # normal distributions that are not cut

    # ---- the model

    @cached_property
    def mlp_names(self) -> dict[str, str]:
        """The reference's names of tensors in the MLPs -> ours: both in the order of use."""
        theirs = [entry["name"] for entry in self.fixture.tensors if _MLP.match(entry["name"])]
        ours = [name for name in self.named if _MLP.match(name)]
        return dict(zip(theirs, ours, strict=True))

    def place(self, name: str) -> tuple[str, slice | None]:
        if match := re.fullmatch(_CHUNK + r"(\d)", name):
            rows = self.fixture.tensors[0]["shape"][0]
            start = int(match[1]) * rows
            return "table.weight", slice(start, start + rows)
        own = {"embed_ln.weight": "embed_ln.weight", "embed_ln.bias": "embed_ln.bias"}
        return (own | self.mlp_names)[name], None

    def tolerance(self, key: str) -> Tolerance:
        found = super().tolerance(key)
        sampled = np.prod(self.fixture.tensors[0]["shape"]) > _SAMPLED
        if key == "init/mean" and sampled:
            return Tolerance(max(found.limit, _SAMPLED_MEAN), found.kind)
        return found

    def role(self, entry: dict[str, Any]) -> str | None:
        """What is meant: the reference takes chunks and norms in its MLPs for weights and biases"""
        name = entry["name"]
        if name.startswith(_CHUNK):
            return "EMBEDDING"
        shapes = {tensor["name"]: tensor["shape"] for tensor in self.fixture.tensors}
        module, _, tensor = name.rpartition(".")
        if len(shapes[f"{module}.weight"]) == 1:
            return "LAYER_NORM_SCALE" if tensor == "weight" else "LAYER_NORM_BIAS"
        return super().role(entry)

    def fill(self) -> Workload:
        """Once: nothing here changes the weights, and half a billion sines take a while."""
        if not self._filled:
            super().fill()
            del self._filling  # two gigabytes
            self._filled = True
        return self.workload

    _filled = False

    def batch(self) -> Batch:
        names = ("inputs", "targets", "weights")
        return {name: torch.from_numpy(self.fixture.case[f"in_{name}"]) for name in names}

    # ---- the keys

    def answers(self) -> dict[str, Answer]:
        statistics = {
            "shape": lambda: np.array(self.eval_logits.shape),
            "sum": lambda: self.eval_logits.double().sum(),
            "abssum": lambda: self.eval_logits.double().abs().sum(),
            "std": lambda: self.eval_logits.double().std(correction=0),
        }
        return {
            "case0/eval_logits": lambda: self.eval_logits,
            "case0/eval_logits_(shape|sum|abssum|std)": lambda what: statistics[what](),
            "case0/loss_ls(0|01)_(w|now)_(summed|n_valid|per_example)": self.click_loss,
            "case0/evalbatch": self.evaluated,
            "case0/train_loss": lambda: self.trained["loss"],
            "case0/train_grad_norms": lambda: self.trained["grad_l2"],
            "preprocess/inputs": lambda: self.lines(np.float32)[:, 1:],
            "preprocess/targets": lambda: self.lines(np.float32)[:, 0],
            "preprocess/exact_bucket_ids": lambda: self.buckets(np.float64),
            "preprocess/table_rows_(.*)": lambda rows: self.buckets(np.float32) % int(rows),
            "preprocess/vocab_sizes": lambda: self.preparer.buckets,
            "preprocess/hash_mod_(.*)": self.hashed,
        }

    def click_loss(self, smoothing: str, mask: str, part: str) -> Any:
        """A field of the training loss of the evaluation outputs."""
        loss: Loss = self.loss(self.eval_logits, mask == "w", {"0": 0.0, "01": 0.1}[smoothing])
        return getattr(loss, part)

    def evaluated(self) -> Any:
        """The weighted sum that an evaluation adds up."""
        with torch.no_grad():
            return self.fill().eval().eval_step(self.batch()).sums["loss"]

    # ---- the raw road

    @cached_property
    def preparer(self) -> CriteoPreparer:
        """As conf/workload describes it."""
        found = find_preparer(self.fixture.params["workload"])
        assert isinstance(found, CriteoPreparer)
        return found

    def lines(self, dtype: Any) -> Array:
        """[24, 40]: the fixture's raw lines as our preparation stores them (float64: unrounded)."""
        path = self.fixture.path("preprocess.tsv")
        text = np.frombuffer(path.read_bytes(), np.uint8)
        return parse_rows(text, self.preparer.buckets, Where(path), dtype)

    def buckets(self, dtype: Any) -> Array:
        """int64 [24, 26]: buckets, having gone through `dtype`."""
        return self.lines(dtype)[:, 1 + INTEGERS :].astype(np.int64)

    def hashed(self, modulus: str) -> Array:
        """int64 [68]: fingerprints of the fixture's strings."""
        base, _, exponent = modulus.partition("e")
        n = int(base) ** int(exponent or 1)
        strings = self.fixture.files["preprocess"]["hash_strings"]
        return np.array([of_string(str(string).encode()) % n for string in strings])

    def more_checks(self) -> Iterator[Check]:
        """The order of files, if the fixture has it."""
        if (self.fixture.root / "file_order.json").is_file():
            expected = self.fixture.json("file_order.json")
            with TemporaryDirectory() as folder:
                data = self._toy(Path(folder))
                yield from self._evaluation_order(data, expected)
                yield from self._training_order(data, expected)

    def _evaluation_order(self, data: CriteoData, expected: Any) -> Iterator[Check]:
        for split in ("validation", "test"):
            batches = list(data.eval_batches(split, Ranks(torch.device("cpu"))))
            weights = torch.cat([batch["weights"] for batch in batches])
            labels = torch.cat([batch["targets"] for batch in batches]) * weights
            shapes = {name: list(tensor.shape) for name, tensor in batches[-1].items()}
            key, want = f"file_order/{split}", expected[split]
            yield self.compare(f"{key}/labels", labels, np.array(want["labels_in_order"]))
            yield self.compare(f"{key}/weights", weights, np.array(want["weights"]))
            same = int(shapes == want["last_batch_shapes"])
            yield self.compare(f"{key}/last_batch_shapes", same, np.array(1))

    def _training_order(self, data: CriteoData, expected: Any) -> Iterator[Check]:
        """Which lines the last batch would have held depends on the shuffle; their number not."""
        want = expected["train_first_epoch_file_days_sorted"]
        order = data.train_order(_TOY_BATCH, 0, Ranks(torch.device("cpu")))
        steps = range(order.steps_per_epoch)
        batches = (data.train_batch(order, step, Augment(0)) for step in steps)
        labels = {float(label) for batch in batches for label in batch["targets"]}
        every = {float(x) for day in range(DAYS - 1) for x in _toy_labels(day)}
        yield self.compare("file_order/train/lines", len(labels & every), np.array(len(set(want))))

    def _toy(self, folder: Path) -> CriteoData:
        """The toy files joined to days and prepared."""
        (folder / "raw").mkdir()
        for day in range(DAYS):
            lines = (str(label) + "\t" * (INTEGERS + 26) + "\n" for label in _toy_labels(day))
            (folder / "raw" / f"day_{day}.gz").write_bytes(gzip.compress("".join(lines).encode()))
        buckets = self.preparer.buckets.tolist()
        preparer = CriteoPreparer("toy", _TOY_ROWS, 2, 19, buckets, largest_label=None)
        prepare(preparer, folder / "raw", folder / "out", quiet=True)
        return CriteoData(
            block_rows=1,
            root=folder / "out",
            dataset="toy",
            preparer_version=preparer.version,
            num_examples={**_TOY_ROWS, "eval_train": _TOY_ROWS["train"]},
            eval_batch_size=_TOY_BATCH,
        )


def _toy_labels(day: int) -> list[int]:
    """Two one-line files a day, and on the last day 36 files of two lines."""
    if day < DAYS - 1:
        return [10_000 + 100 * day + file for file in (0, 1)]
    return [100 * file + line for file in range(36) for line in (0, 1)]


PARITY = CriteoParity
