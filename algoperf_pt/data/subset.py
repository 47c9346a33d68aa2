"""Which stored rows does a trial train on, where it is not all of them?  As many as the workload
says, drawn once by a seed: the same in every trial, whatever its own seed.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from algoperf_pt.data.order import Indices, Order
from algoperf_pt.errors import ConfigError
from algoperf_pt.seeds import derive

_WHERE = "workload.data.options.subset"


class SubsetOrder(Order):
    """An order of some rows.

    Args:
        kept: int64, the stored rows that are trained on.
        arguments: as of `Order`, behind its n.
    """

    def __init__(self, kept: Indices, *arguments: int) -> None:
        super().__init__(len(kept), *arguments)
        self._kept = kept

    def rows(self, epoch: int, places: Indices) -> Indices:
        """Stored rows at ascending places of an epoch's order."""
        chosen: Indices = self._kept[super().rows(epoch, places)]
        return chosen


def kept_rows(count: int, of: int, seed: int) -> Indices:
    """int64 [count]: rows 0 to of - 1 without repetition, ascending, so that reads stay in order.

    Raises:
        ConfigError: more rows than there are.
    """
    if not 0 < count <= of:
        raise ConfigError(
            f"workload.num_examples.train: {count} rows cannot be kept of {of}",
            expected=f"1 to {of}",
            where=_WHERE,
        )
    rng = np.random.default_rng(derive(seed, "subset"))
    rows: Indices = np.sort(rng.permutation(of)[:count])
    return rows


def check_subset(subset: Mapping[str, Any], num_examples: Mapping[str, int], able: bool) -> None:
    """Refuse a subset that the data cannot have.

    Args:
        subset: {of: rows that are stored, seed: by which some of them are drawn}.
        num_examples: as of the workload.
        able: whether the data's own order of training rows heeds a subset.
    """
    if set(subset) != {"of", "seed"}:
        raise ConfigError(
            f"the subset holds {', '.join(sorted(subset))}",
            expected="of, seed",
            where=_WHERE,
        )
    if not able:
        raise ConfigError(
            "this workload cannot train on a part of its rows: its order of rows is its own",
            where=_WHERE,
            fix="leave out data.options.subset",
        )
    if num_examples["eval_train"] > num_examples["train"]:
        raise ConfigError(
            f"workload.num_examples.eval_train={num_examples['eval_train']} is more than the "
            f"{num_examples['train']} rows that are trained on",
            expected="no more than num_examples.train",
            where=_WHERE,
        )
