"""Colour images for speed measurements: CIFAR-10's shape, random pixels."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from algoperf_pt.bench import Bench
from algoperf_pt.data.shards import Sample
from algoperf_pt.spec import SPLITS
from algoperf_pt.workload_data import Batch

_BLOCK = 1000  # rows a member, as in the preparation


class CifarBench(Bench):
    """Normal inputs, uniform labels; as many stored images as the workload has."""

    unit = "images"

    def train_batch(self, batch_size: int, generator: torch.Generator) -> Batch:
        side = self.options["side"]
        return {
            "inputs": torch.randn((batch_size, 3, side, side), generator=generator),
            "targets": torch.randint(self.model["classes"], (batch_size,), generator=generator),
            "weights": torch.ones(batch_size),
        }

    def loader_data(self, folder: Path) -> None:
        rng = np.random.default_rng(0)
        counts = self.workload["num_examples"]
        self.write_prepared(folder, {split: self._samples(counts[split], rng) for split in SPLITS})

    def _samples(self, rows: int, rng: np.random.Generator) -> Iterator[Sample]:
        pixels, classes = 3 * self.options["side"] ** 2, self.model["classes"]
        for start in range(0, rows, _BLOCK):
            count = min(_BLOCK, rows - start)
            image = rng.integers(0, 256, (count, pixels), np.uint8).tobytes()
            label = rng.integers(0, classes, count, np.uint8).tobytes()
            yield Sample(f"{start // _BLOCK:06d}", {"image": image, "label": label}, count)


BENCH = CifarBench
