"""How much faster is a submission than another one?  Geometric mean over the scored workloads.

Nothing of the held-out rules applies.  A target that was not reached, or has no logs, counts as the
budget and a second, as in the technical documentation; where neither reached it, the ratio is 1.

Shapes: S submissions, B scored workloads.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scoring.certainty.table import Cell, Table

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Speedups:
    """Times as multiples of the baseline's.

    Attributes:
        ratios: time / baseline's time [S, B]; below 1 is faster; nan where it is left out.
        mean: geometric mean of a submission's ratios [S].
        missing: workloads without logs, which count as not reached [S].
    """

    ratios: Floats
    mean: Floats
    missing: NDArray[np.int64]

    @property
    def faster_by(self) -> Floats:
        """Time saved, as a share of the baseline's time [S]: 0.28 is "28 % faster"."""
        return 1 - self.mean

    @property
    def speedup(self) -> Floats:
        """The inverse convention [S]: how many times as fast."""
        return 1 / self.mean


def speedups(times: Floats, budgets: Floats, baseline: int, both: bool = False) -> Speedups:
    """Against submission `baseline`.

    Args:
        times: seconds before the held-out rules [S, B]; inf: not reached, nan: no logs.
        budgets: with the ruleset's factor [B].
        both: only workloads that both reached.
    """
    reached = np.isfinite(times)
    filled = np.where(reached, times, budgets + 1.0)
    found = filled / filled[baseline]
    if both:
        found = np.where(reached & reached[baseline], found, np.nan)
    count = (~np.isnan(found)).sum(-1)
    total = np.nansum(np.log(found), axis=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(count > 0, np.exp(total / count), np.nan)
    return Speedups(found, mean, np.isnan(times).sum(-1))


def speedup_table(
    names: tuple[str, ...], workloads: tuple[str, ...], found: Speedups, baseline: int
) -> Table:
    """Both conventions, and the ratio on every workload."""
    rows: list[list[Cell]] = [
        [
            name,
            float(found.faster_by[s]),
            float(found.speedup[s]),
            int(found.missing[s]),
            *map(float, found.ratios[s]),
        ]
        for s, name in enumerate(names)
    ]
    columns = ("submission", "faster_by", "speedup", "workloads_without_logs", *workloads)
    notes = ("Ratios of times below 1 are faster; a target not reached counts as budget + 1 s.",)
    return Table("speedups", f"Speed against {names[baseline]}", columns, rows, notes)
