"""MNIST-like images from shards: uint8 rows to normalised float32 batches."""

from typing import Any

import torch
from torch import Tensor

from algoperf_pt.data.augment import Augment
from algoperf_pt.workload_data import Indices
from workloads.image_classification.data import ImageTables


class MnistData(ImageTables):
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
        height: int = 28,
        width: int = 28,
        mean: float = 0.1307,
        std: float = 0.3081,
        **common: Any,
    ) -> None:
        super().__init__((1, height, width), **common)
        self.mean, self.std = mean, std

    def build(self, split: str, indices: Indices, augment: Augment | None) -> dict[str, Tensor]:
        """Pick rows and normalise; there is no augmentation."""
        pixels, labels = self.table(split)
        rows = torch.from_numpy(indices)
        return {"inputs": normalise(pixels[rows], self.mean, self.std), "targets": labels[rows]}


def normalise(pixels: Tensor, mean: float, std: float) -> Tensor:
    """(pixels - mean) / std in float32."""
    return (pixels.float() - mean) / std
