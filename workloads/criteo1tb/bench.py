"""What is measured of click prediction: made-up rows with buckets in their ranges, and shards."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from algoperf_pt.bench import Bench, Reference, Shape
from algoperf_pt.data.shards import Sample
from algoperf_pt.workload_data import Batch
from workloads.criteo1tb.parse import INTEGERS, Rows

_SOURCE = "AlgoPerf 0.6's PyTorch side, one thread of a CPU, table of 2^20 rows"
_PIPELINE = "AlgoPerf 0.6's text pipeline, two threads of a CPU, lines of 241 bytes"
_STEP: Shape = {"inputs": [8192, 39], "table": [1 << 20, 128]}
_BLOCK = 1 << 16  # rows a member, as the preparation writes
_BLOCKS = {"train": 16, "validation": 4, "test": 1}  # 168 MB to train on
_CLICKS = 0.03  # share of clicks


class CriteoBench(Bench):
    """Batches of rows.  Their shape includes the table, on which the update works whole."""

    references = (
        Reference("step", _STEP, ratio=25.25, source=_SOURCE),
        Reference("eval", _STEP, ratio=5.98, source=_SOURCE),
        Reference(
            "loader_train",
            {},
            ratio_cpu=2.35,
            units=131_072,
            units_per_cpu_s=223_726.0,
            source=_PIPELINE,
        ),
    )

    def train_batch(self, batch_size: int, generator: torch.Generator) -> Batch:
        seed = int(torch.randint(1 << 62, (), generator=generator))
        rows = torch.from_numpy(self._rows(batch_size, np.random.default_rng(seed)))
        return {"inputs": rows[:, 1:], "targets": rows[:, 0], "weights": torch.ones(batch_size)}

    def shape(self, batch: Batch) -> Shape:
        table = [self.model["vocab_size"], self.model["embed_dim"]]
        return {**super().shape(batch), "table": table}

    def loader_data(self, folder: Path) -> None:
        rng = np.random.default_rng(0)
        splits = {split: self._blocks(count, rng) for split, count in _BLOCKS.items()}
        self.write_prepared(folder, splits)

    def _blocks(self, count: int, rng: np.random.Generator) -> Iterator[Sample]:
        for number in range(count):
            rows = self._rows(_BLOCK, rng)
            yield Sample(f"{number:06d}", {"row": rows.tobytes()}, _BLOCK)

    def _rows(self, count: int, rng: np.random.Generator) -> Rows:
        """float32 [count, 40]: label, logarithms of counts, buckets."""
        buckets = np.array(self.workload["prepare"]["buckets"])
        clicks = rng.random((count, 1)) < _CLICKS
        numbers = np.log1p(np.floor(rng.lognormal(2.0, 2.0, (count, INTEGERS))))
        ids = np.floor(rng.random((count, len(buckets))) * buckets)
        return np.concatenate([clicks, numbers, ids], axis=1).astype(np.float32)


BENCH = CriteoBench
