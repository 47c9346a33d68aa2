"""Small images that stay in memory: the splits' tables of pixels and labels."""

from typing import Any

import torch
from torch import Tensor

from algoperf_pt.workload_data import WorkloadData


class ImageTables(WorkloadData):
    """Images of one size and integer labels, both parts of a few hundred megabytes at the most.

    Args:
        shape: channels, height, width.
        common: as `WorkloadData` takes them.
    """

    def __init__(self, shape: tuple[int, int, int], **common: Any) -> None:
        super().__init__(**common)
        self.shape = shape
        self._tables: dict[str, tuple[Tensor, Tensor]] = {}

    def table(self, split: str) -> tuple[Tensor, Tensor]:
        """(uint8 images [n, channels, height, width], int64 labels [n]) of a split."""
        if split not in self._tables:
            reader = self.reader(split)
            pixels = torch.from_numpy(reader.all_rows("image")).reshape(-1, *self.shape)
            labels = torch.from_numpy(reader.all_rows("label")).flatten().long()
            self._tables[split] = pixels, labels
        return self._tables[split]
