"""Which stored rows does a trial use, where it is not all of them?  As many as the workload says,
to train on and to be judged on, drawn once by a seed: the same in every trial, whatever its own.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from algoperf_pt.data.order import IN_MEMORY, Indices, Order, feistel
from algoperf_pt.errors import ConfigError
from algoperf_pt.seeds import derive

EVALUATED = ("validation", "test")
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


def kept_rows(count: int, of: int, seed: int, split: str = "train") -> Indices:
    """int64 [count]: rows 0 to of - 1 without repetition, ascending, so that reads stay in order.

    Args:
        split: whose rows they are, for messages.

    Raises:
        ConfigError: more rows than there are.
    """
    if not 0 < count <= of:
        raise ConfigError(
            f"workload.num_examples.{split}: {count} rows cannot be kept of {of}",
            expected=f"1 to {of}",
            where=_WHERE,
        )
    drawn = derive(seed, "subset")
    if of > IN_MEMORY:
        return np.sort(feistel(np.arange(count), of, drawn))
    rows: Indices = np.sort(np.random.default_rng(drawn).permutation(of)[:count])
    return rows


def evaluated_rows(
    subset: Mapping[str, int], num_examples: Mapping[str, int]
) -> dict[str, Indices]:
    """Split -> rows that are evaluated, of the splits that a subset has a part of."""
    return {
        split: kept_rows(num_examples[split], subset[split], derive(subset["seed"], split), split)
        for split in EVALUATED
        if split in subset
    }


def stored_counts(
    subset: Mapping[str, int] | None, num_examples: Mapping[str, int]
) -> dict[str, int]:
    """Split -> rows that the data must hold."""
    stored = {split: num_examples[split] for split in ("train", *EVALUATED)}
    if subset is not None:
        stored["train"] = subset["of"]
        stored |= {split: subset[split] for split in EVALUATED if split in subset}
    return stored


def check_subset(subset: Mapping[str, Any], num_examples: Mapping[str, int], able: bool) -> None:
    """Refuse a subset that the data cannot have.

    Args:
        subset: {of: training rows that are stored, seed: by which some of them are drawn}, and
            maybe {validation: rows that are stored, test: ...}.
        num_examples: as of the workload.
        able: whether the data's own order of training rows heeds a subset.
    """
    if not {"of", "seed"} <= set(subset) <= {"of", "seed", *EVALUATED}:
        raise ConfigError(
            f"the subset holds {', '.join(sorted(subset))}",
            expected="of, seed, and at will validation, test",
            where=_WHERE,
        )
    if not able and subset["of"] != num_examples["train"]:
        raise ConfigError(
            "this workload cannot train on a part of its rows: its order of rows is its own",
            where=_WHERE,
            fix="leave out data.options.subset, or set its `of` to num_examples.train",
        )
    if num_examples["eval_train"] > num_examples["train"]:
        raise ConfigError(
            f"workload.num_examples.eval_train={num_examples['eval_train']} is more than the "
            f"{num_examples['train']} rows that are trained on",
            expected="no more than num_examples.train",
            where=_WHERE,
        )
