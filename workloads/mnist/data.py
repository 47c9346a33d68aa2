"""MNIST-like images from shards: uint8 rows to normalised float32 batches."""

from pathlib import Path

import torch
from torch import Tensor

from algoperf_pt.workload_data import Indices, Loading, WorkloadData


class MnistData(WorkloadData):
    """Grey images of one size with integer labels.

    Batches: `inputs` [B, 1, height, width] float32, `targets` [B] int64, `weights` [B] float32.

    Args:
        height, width: pixels.
        mean, std: subtracted from and divided into the raw pixel values.  The MNIST workload keeps
            the reference's constants, which belong to values in [0, 1], on values in 0..255: its
            target was set with them.
    """

    def __init__(
        self,
        root: str | Path,
        dataset: str,
        preparer_version: int,
        num_examples: dict[str, int],
        eval_batch_size: int,
        loading: Loading = Loading(),
        height: int = 28,
        width: int = 28,
        mean: float = 0.1307,
        std: float = 0.3081,
    ) -> None:
        super().__init__(root, dataset, preparer_version, num_examples, eval_batch_size, loading)
        self.shape, self.mean, self.std = (1, height, width), mean, std
        self._tables: dict[str, tuple[Tensor, Tensor]] = {}

    def build(self, split: str, indices: Indices, augment: int | None) -> dict[str, Tensor]:
        """Pick rows and normalise; there is no augmentation."""
        pixels, labels = self._table(split)
        rows = torch.from_numpy(indices)
        return {"inputs": normalise(pixels[rows], self.mean, self.std), "targets": labels[rows]}

    def _table(self, split: str) -> tuple[Tensor, Tensor]:
        """uint8 images [n, 1, height, width] and int64 labels [n]: at most 55 MB, so they stay in
        memory.
        """
        if split not in self._tables:
            reader = self.reader(split)
            pixels = torch.from_numpy(reader.all_rows("image")).reshape(-1, *self.shape)
            self._tables[split] = (
                pixels,
                torch.from_numpy(reader.all_rows("label")).flatten().long(),
            )
        return self._tables[split]


def normalise(pixels: Tensor, mean: float, std: float) -> Tensor:
    """(pixels - mean) / std in float32."""
    return (pixels.float() - mean) / std
