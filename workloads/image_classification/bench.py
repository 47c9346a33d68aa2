"""Images for speed measurements: random pixels in the shape of the workload's own."""

from abc import abstractmethod
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from algoperf_pt.bench import Bench
from algoperf_pt.data.shards import Sample
from algoperf_pt.spec import SPLITS
from algoperf_pt.workload_data import Batch

_BLOCK = 1000  # rows a member, as in the preparations


class ImageBench(Bench):
    """Normal inputs, uniform labels; as many stored images as the workload has."""

    unit = "images"

    @property
    @abstractmethod
    def image(self) -> tuple[int, int, int]:
        """Channels, height, width."""

    def train_batch(self, batch_size: int, generator: torch.Generator) -> Batch:
        return {
            "inputs": torch.randn((batch_size, *self.image), generator=generator),
            "targets": torch.randint(self.model["classes"], (batch_size,), generator=generator),
            "weights": torch.ones(batch_size),
        }

    def loader_data(self, folder: Path) -> None:
        rng = np.random.default_rng(0)
        counts = self.workload["num_examples"]
        self.write_prepared(folder, {split: self._samples(counts[split], rng) for split in SPLITS})

    def _samples(self, rows: int, rng: np.random.Generator) -> Iterator[Sample]:
        for start in range(0, rows, _BLOCK):
            count = min(_BLOCK, rows - start)
            image = rng.integers(0, 256, (count, *self.image), np.uint8).tobytes()
            label = rng.integers(0, self.model["classes"], count, np.uint8).tobytes()
            yield Sample(f"{start // _BLOCK:06d}", {"image": image, "label": label}, count)
