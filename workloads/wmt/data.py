"""wmt from shards: sentence pairs as ids, packed into training rows or one a row for evaluations.

Shapes: N pairs of a split, B rows, L places in a row.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from algoperf_pt.data.augment import Augment
from algoperf_pt.data.reader import Indices, ranges
from algoperf_pt.ranks import Ranks
from workloads.text.data import VocabularyData
from workloads.wmt.packing import PackedOrder
from workloads.wmt.vocabulary import Vocabulary

VOCABULARY = "sentencepiece.model"  # beside the shards
_SIDES = ("inputs", "targets")


class WmtData(VocabularyData):
    """Training batches: rows of several pairs, [B, L] `inputs`, `targets` int64, their `_position`
    and `_segmentation` int32, `weights` float32.  Evaluation batches: a pair a row, padded to the
    longest; `inputs`, `targets`, `weights`.

    Args:
        max_length: L; pairs with a longer side (end included) are left out, in every split.
        common: as `WorkloadData` takes them.
    """

    vocabulary_class, vocabulary_file = Vocabulary, VOCABULARY
    heeds_subset = True

    def __init__(self, max_length: int = 256, **common: Any) -> None:
        super().__init__(**common)
        self.max_length = max_length
        self._tables: dict[str, "_Table"] = {}
        self._eval_index: dict[str, Indices] = {}

    def table(self, split: str) -> "_Table":
        """Lengths and places of a split's pairs."""
        if split not in self._tables:
            lengths = self.reader(split).all_rows("length").view(np.uint16)
            self._tables[split] = _Table(lengths.astype(np.int64), self.max_length)
        return self._tables[split]

    def train_order(self, global_batch_size: int, seed: int, ranks: Ranks) -> PackedOrder:
        """Rows of packed pairs."""
        table = self.table("train")
        source, target = table.counted.T
        rows = (self.max_length, global_batch_size, seed, ranks.rank, ranks.world)
        short = table.short if self.kept is None else self.kept[table.is_short[self.kept]]
        return PackedOrder(source, target, short, *rows)

    def train_batch(self, order: PackedOrder, step: int, augment: Augment) -> dict[str, Tensor]:
        """The rows of a step."""
        pairs, rows = order.rows(step)
        counted = self.table("train").counted[pairs]
        tokens = self._tokens("train", pairs, counted)
        return pack(tokens, counted, rows, self.max_length)

    def build(self, split: str, indices: Indices, augment: Augment | None) -> dict[str, Tensor]:
        """A pair a row."""
        lengths = self.table(split).lengths[indices]
        return pad(self._tokens(split, indices, lengths), lengths)

    def eval_rows(self, split: str) -> int:
        """Pairs that are not too long."""
        return len(self.eval_index(split))

    def eval_index(self, split: str) -> Indices:
        """Pairs by the length of the source: equal lengths meet in a batch, and dealing them out
        one by one gives every rank the same work.
        """
        if split not in self._eval_index:
            table, chosen = self.table(split), super().eval_index(split)
            short = table.short if chosen is None else chosen[table.is_short[chosen]]
            order = np.lexsort((short, *table.lengths[short].T[::-1]))
            self._eval_index[split] = short[order]
        return self._eval_index[split]

    def row_sizes(self, split: str) -> Indices:
        """Ids of source and target."""
        return self.table(split).lengths

    def _tokens(self, split: str, pairs: Indices, counts: Indices) -> list[Indices]:
        """The first `counts` [B, 2] ids of both sides, all rows behind one another."""
        table, reader = self.table(split), self.reader(split)
        both = (table.starts[pairs], table.starts[pairs] + table.lengths[pairs, 0])
        starts, sizes = np.concatenate(both), counts.T.ravel()
        flat = reader.read_spans("token", starts, sizes, np.uint16).astype(np.int64)
        cut = int(counts[:, 0].sum())
        return [flat[:cut], flat[cut:]]


class _Table:
    """Arrays over the pairs of a split.

    Args:
        lengths: [N, 4] ids of source and target (end included), and how many of them are not 0.
        limit: a longer pair is not used.
    """

    def __init__(self, lengths: Indices, limit: int) -> None:
        self.lengths = lengths[:, :2]
        # packing cuts a sentence by as many ids as it has unknown pieces, as in the reference
        self.counted = lengths[:, 2:]
        total = self.lengths.sum(1)
        self.starts = np.cumsum(total) - total  # first id of each pair
        self.is_short = self.lengths.max(1) <= limit
        self.short = np.flatnonzero(self.is_short)


def pack(tokens: list[Indices], counts: Indices, rows: Indices, length: int) -> dict[str, Tensor]:
    """Rows of several pairs.

    Args:
        tokens: ids of the sources, and of the targets, all pairs behind one another.
        counts: [P, 2] ids of each pair.
        rows: [P] row of each pair, ascending from 0.
        length: L.
    """
    count = int(rows[-1]) + 1
    first = np.flatnonzero(np.diff(rows, prepend=-1))  # first pair of each row
    number = np.arange(len(rows)) - np.repeat(first, np.diff(np.append(first, len(rows)))) + 1
    batch: dict[str, Tensor] = {}
    for side, ids, sizes in zip(_SIDES, tokens, counts.T):
        before = np.cumsum(sizes) - sizes
        places = ranges(rows * length + before - before[first][rows], sizes)
        within = np.arange(len(ids)) - np.repeat(before, sizes)
        segment = np.repeat(number, sizes) * (ids != 0)
        columns = {side: ids, f"{side}_position": within, f"{side}_segmentation": segment}
        for name, values in columns.items():
            flat = np.zeros(count * length, np.int64 if name == side else np.int32)
            flat[places] = values
            batch[name] = torch.from_numpy(flat.reshape(count, length))
    batch["weights"] = (batch["targets"] > 0).float()
    return batch


def pad(tokens: list[Indices], lengths: Indices) -> dict[str, Tensor]:
    """A pair a row, zeros behind it; arguments as of `pack`."""
    batch: dict[str, Tensor] = {}
    for side, ids, sizes in zip(_SIDES, tokens, lengths.T):
        width = int(sizes.max())
        flat = np.zeros(len(sizes) * width, np.int64)
        flat[ranges(np.arange(len(sizes)) * width, sizes)] = ids
        batch[side] = torch.from_numpy(flat.reshape(len(sizes), width))
    batch["weights"] = (batch["targets"] > 0).float()
    return batch
