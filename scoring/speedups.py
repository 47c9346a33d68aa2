"""How much faster is a submission than another one?  Geometric mean over the scored workloads.

Nothing of the held-out rules applies.  A target that was not reached, or has no logs, counts as the
budget and a second, as in the technical documentation; where neither reached it, the ratio is 1.

Shapes: S submissions, B scored workloads.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

HOW = (  # a note for people
    "geometric mean over the scored workloads; a target not reached, or without logs, counts as "
    "the budget and a second"
)
NOTE = f"{HOW[0].upper()}{HOW[1:]}."  # as a sentence


@dataclass(frozen=True)
class Speedups:
    """Times as multiples of the baseline's.

    Attributes:
        ratios: time / baseline's time [S, B]; below 1 is faster.
        mean: geometric mean of a submission's ratios [S].
        mean_both: the same over the workloads whose target both reached; nan where there are none.
        both: how many these are [S].
        missing: workloads without logs, which count as not reached [S].
    """

    ratios: Floats
    mean: Floats
    mean_both: Floats
    both: NDArray[np.int64]
    missing: NDArray[np.int64]

    @property
    def faster_by(self) -> Floats:
        """Time saved, as a share of the baseline's time [S]: 0.28 is "28 % faster"."""
        return 1 - self.mean

    @property
    def speedup(self) -> Floats:
        """The inverse convention [S]: how many times as fast."""
        return 1 / self.mean


def speedups(times: Floats, budgets: Floats, baseline: int) -> Speedups:
    """Against submission `baseline`.

    Args:
        times: seconds before the held-out rules [S, B]; inf: not reached, nan: no logs.
        budgets: with the ruleset's factor [B].
    """
    reached = np.isfinite(times)
    filled = np.where(reached, times, budgets + 1.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        found = np.where(filled == filled[baseline], 1.0, filled / filled[baseline])
    both = reached & reached[baseline]
    means = (_mean(found, np.ones_like(both)), _mean(found, both))
    return Speedups(found, *means, both.sum(-1), np.isnan(times).sum(-1))


def _mean(ratios: Floats, kept: NDArray[np.bool_]) -> Floats:
    """Geometric mean over the workloads kept [S]; equal times are 1, be they 0 on a toy's clock."""
    with np.errstate(invalid="ignore", divide="ignore"):
        found: Floats = np.exp(np.where(kept, np.log(ratios), 0.0).sum(-1) / kept.sum(-1))
    return found
