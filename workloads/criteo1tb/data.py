"""Click logs from shards: stored rows are the batch, so a batch is a few reads and no computation.

Shapes: B batch.
"""

from typing import Any

import torch
from torch import Tensor

from algoperf_pt.data.augment import Augment
from algoperf_pt.ranks import Ranks
from algoperf_pt.seeds import derive
from algoperf_pt.workload_data import EVAL_TRAIN_SEED, Indices, WorkloadData
from workloads.criteo1tb.order import BlockOrder, Stretches
from workloads.criteo1tb.parse import FIELDS


class CriteoData(WorkloadData):
    """Rows of clicks and their features.

    Batches: `inputs` [B, 39] float32 (13 logarithms, 26 buckets; a view of the rows as they are
    read), `targets` [B] float32, 1 for a click, `weights` [B] float32.

    Args:
        block_rows: rows of the stretches that training permutes.
        common: as `WorkloadData` takes them.
    """

    def __init__(self, block_rows: int, **common: Any) -> None:
        super().__init__(**common)
        self.block_rows = block_rows

    def build(self, split: str, indices: Indices, augment: Augment | None) -> dict[str, Tensor]:
        """Read rows; they have no augmentation."""
        rows = self.reader(split).read_rows(indices, "row").view("<f4")
        table = torch.from_numpy(rows.reshape(len(indices), FIELDS))
        return {"inputs": table[:, 1:], "targets": table[:, 0]}

    def train_order(self, global_batch_size: int, seed: int, ranks: Ranks) -> BlockOrder:
        """Stretches of `block_rows` rows, permuted in each epoch."""
        n = self.num_examples["train"]
        return BlockOrder(self.block_rows, n, global_batch_size, seed, ranks.rank, ranks.world)

    def eval_index(self, split: str) -> Any:
        """Of the training split whole stretches, always the same: rows far apart would cost a read
        each.
        """
        if split != "train":
            return super().eval_index(split)
        if self.eval_rows("train") == self.num_examples["train"]:
            return None
        seed = derive(EVAL_TRAIN_SEED, "epoch", 0)
        return Stretches(self.num_examples["train"], self.block_rows, seed)
