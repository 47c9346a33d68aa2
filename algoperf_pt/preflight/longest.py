"""Which batch needs the most memory?  The one with the largest rows, where rows differ."""

from collections.abc import Sequence

import numpy as np

from algoperf_pt.data.augment import Augment
from algoperf_pt.ranks import Ranks
from algoperf_pt.spec import SPLITS
from algoperf_pt.workload_data import Batch, Indices, WorkloadData


def longest_rows(sizes: Indices, count: int) -> Indices:
    """Places of the `count` largest rows, among them the largest of each kind of size: one row can
    have the most samples, another one the most tokens, and all are padded to both.

    Args:
        sizes: [N, K], rows by kinds of size.
        count: of the batch; rows are repeated where there are fewer.
    """
    order = np.argsort(-sizes[:, 0], kind="stable")
    chosen: Indices = np.resize(order[:count], count)
    for number, kind in enumerate(sizes.T[1:], 1):
        largest = int(kind.argmax())
        if largest not in chosen and number < count:
            chosen[-number] = largest
    return chosen


def packs_rows(data: WorkloadData) -> bool:
    """Whether a training batch is more than the rows that the order names: then its shape is a
    fixed one, or within a budget.
    """
    return type(data).train_batch is not WorkloadData.train_batch


def longest_training_batch(
    data: WorkloadData, count: int, seen: Sequence[Batch], ranks: Ranks
) -> tuple[Batch, str]:
    """(batch on the device, how it was chosen).

    Args:
        data: of the workload.
        count: rows.
        seen: ordinary batches of so many rows; the one with the most elements where all are of one
            shape, or packed.
        ranks: for the device.
    """
    sizes = None if packs_rows(data) else data.row_sizes("train")
    if sizes is None:
        return max(seen, key=_elements), "packed rows" if packs_rows(data) else "one shape"
    places = np.arange(data.num_examples["train"])
    rows = data.stored_rows(places)
    chosen = rows[longest_rows(sizes[rows], count)]
    return data.one_batch("train", chosen, ranks, Augment(0, 0, 1)), "longest rows"


def longest_evaluation_batch(data: WorkloadData, count: int, ranks: Ranks) -> tuple[Batch, str]:
    """(batch on the device, its split); the first batch of a split where all rows are alike."""
    evaluated = [split for split in SPLITS if data.num_examples.get(split, 0)]
    found: list[tuple[int, str, Indices]] = []
    for split in evaluated:
        sizes = data.row_sizes(split)
        if sizes is not None:
            rows = evaluated_rows(data, split)
            found.append((int(sizes[rows, 0].max()), split, rows[longest_rows(sizes[rows], count)]))
    if not found:
        split = "validation" if "validation" in evaluated else evaluated[0]
        return next(data.eval_batches(split, ranks)), split
    _, split, chosen = max(found, key=lambda entry: entry[0])
    return data.one_batch(split, chosen, ranks), split


def evaluated_rows(data: WorkloadData, split: str) -> Indices:
    """Stored rows of a split's evaluated part, in the order of its batches."""
    places = np.arange(data.eval_rows(split))
    index = data.eval_index(split)
    rows: Indices = places if index is None else np.asarray(index[places])
    return rows


def _elements(batch: Batch) -> int:
    return sum(value.numel() for value in batch.values() if hasattr(value, "numel"))
