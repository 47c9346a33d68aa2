"""FineWeb-Edu from shards: windows of ids to inputs and next ids.

Shapes: B batch, L positions; a stored row is a window of L + 1 ids.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from algoperf_pt.data.augment import Augment
from algoperf_pt.workload_data import Indices, WorkloadData

Ids = np.ndarray[Any, np.dtype[np.uint16]]


class FinewebEduData(WorkloadData):
    """Batches: `inputs`, `targets` [B, L] int64, `weights` [B, L] float32 of ones (0 in rows that
    fill up the last evaluation batch).
    """

    def build(self, split: str, indices: Indices, augment: Augment | None) -> dict[str, Tensor]:
        windows = self.windows(split, indices)
        inputs = torch.from_numpy(windows[:, :-1].astype(np.int64))
        targets = torch.from_numpy(windows[:, 1:].astype(np.int64))
        return {"inputs": inputs, "targets": targets, "weights": torch.ones(targets.shape)}

    def windows(self, split: str, indices: Indices) -> Ids:
        """uint16 [B, L + 1]: the stored rows."""
        return self.reader(split).read_rows(indices, "ids").view(np.uint16)

    def eval_index(self, split: str) -> Any:
        """The evaluated part of the training split is its first windows, as in the reference."""
        if split == "train":
            return self.stored_rows(np.arange(self.eval_rows("train")))
        return super().eval_index(split)
