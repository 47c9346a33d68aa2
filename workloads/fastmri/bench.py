"""What is measured of fastMRI?  Slices of full size, and shards with common widths of k-space."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from algoperf_pt.bench import Bench, Reference, Shape
from algoperf_pt.data.shards import Sample
from algoperf_pt.workload_data import Batch

_SOURCE = "AlgoPerf 0.6's PyTorch side, one thread of a CPU"
_STEP: Shape = {"inputs": [2, 320, 320], "channels": 32, "levels": 4}
_VOLUMES = {"train": 6, "validation": 2, "test": 1}  # 135 MB to train on
_SLICES = 16  # of a volume
_WIDTHS = (368, 372)  # the common ones


class FastmriBench(Bench):
    """Normal inputs and targets; k-space of noise."""

    unit = "slices"
    references = (
        Reference("step", _STEP, ratio=15.46, source=f"{_SOURCE}, NAdamW in float32"),
        Reference("eval", _STEP, ratio=5.27, source=_SOURCE),
        Reference(
            "loader_train",
            {},
            ratio=1.31,
            units=48,
            units_per_cpu_s=149.79,
            source=f"{_SOURCE}: TensorFlow, k-space of 640x372 in memory, cached after an epoch",
        ),
    )

    def train_batch(self, batch_size: int, generator: torch.Generator) -> Batch:
        shape = (batch_size, self.options["height"], self.options["width"])
        inputs, targets = (torch.randn(shape, generator=generator) for _ in range(2))
        ones = {name: torch.ones(batch_size) for name in ("std", "volume_max", "weights")}
        mean = torch.zeros(batch_size)
        return {"inputs": inputs, "targets": targets, "mean": mean, **ones}

    def shape(self, batch: Batch) -> Shape:
        sizes = {"channels": self.model["num_channels"], "levels": self.model["num_pool_layers"]}
        return {**super().shape(batch), **sizes}

    def loader_data(self, folder: Path) -> None:
        """Volumes as the preparation stores them."""
        made = {split: self._volumes(count) for split, count in _VOLUMES.items()}
        self.write_prepared(folder, made, samples_per_shard=1)

    def _volumes(self, count: int) -> Iterator[Sample]:
        rng = np.random.default_rng(count)
        height, width = self.options["height"], self.options["width"]
        for number in range(count):
            columns = _WIDTHS[number % len(_WIDTHS)]
            noise = rng.standard_normal((_SLICES, columns, 2 * height), np.float32)
            target = np.abs(rng.standard_normal((_SLICES, height, width), np.float32))
            parts = {
                "kspace": noise.tobytes(),
                "target": target.tobytes(),
                "width": np.full(_SLICES, columns, np.uint16).tobytes(),
                "max": np.full(_SLICES, target.max(), np.float32).tobytes(),
            }
            yield Sample(f"file{number}", parts, _SLICES)


BENCH = FastmriBench
