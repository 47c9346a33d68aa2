"""Grey images for speed measurements: MNIST's shape, random pixels (also of digits)."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from algoperf_pt.bench import Bench
from algoperf_pt.data.shards import Sample
from algoperf_pt.spec import SPLITS
from algoperf_pt.workload_data import Batch
from workloads.mnist.prepare import blocks


class MnistBench(Bench):
    """Normal inputs, uniform labels; as many stored images as the workload has."""

    unit = "images"

    def train_batch(self, batch_size: int, generator: torch.Generator) -> Batch:
        size = (batch_size, 1, self.options["height"], self.options["width"])
        return {
            "inputs": torch.randn(size, generator=generator),
            "targets": torch.randint(self.model["classes"], (batch_size,), generator=generator),
            "weights": torch.ones(batch_size),
        }

    def loader_data(self, folder: Path) -> None:
        rng = np.random.default_rng(0)
        counts = self.workload["num_examples"]
        self.write_prepared(folder, {split: self._samples(counts[split], rng) for split in SPLITS})

    def _samples(self, rows: int, rng: np.random.Generator) -> Iterator[Sample]:
        size = (rows, self.options["height"], self.options["width"])
        images = rng.integers(0, 256, size, np.uint8)
        return blocks(images, rng.integers(0, self.model["classes"], rows, np.uint8), 1000)


BENCH = MnistBench
