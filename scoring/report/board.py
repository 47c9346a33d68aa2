"""What do pictures, tables and the page show of a scored group?  One record with plain arrays, so
that none of them has to know how a score comes about.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from scoring.rules.model import Workload
from scoring.speedups import Speedups

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Board:
    """S submissions, W workloads (the B base workloads first), K studies.

    Attributes:
        title: of pictures and page, e.g. "AlgoPerf 0.5, external tuning".
        times: seconds or steps to target [S, W]: inf not reached, nan no logs.
        reasons: why a cell does not count [S][W]; "" if it does.
        ratios: times as multiples of the fastest that counts [S, B]; inf where none counts.
        scores, ranks: [S].
        tau_max: where profiles end; `factor`: times beyond so many times the fastest do not count.
        timed: the clock is seconds (else steps); `integral`: how profiles are integrated.
        studies: their folder names [K].
        study_times, study_trials: time and trial of each study [S, W, K].
        low, high: ends of the intervals of the scores [S], if there are any; `level` their share.
        facts: pairs of a name and a value about the rules, for people.
        hardware_mark: what was done about trials of different hardware; "" if nothing was.
        baseline, speed: times of base workloads as multiples of those of a submission, if asked.
    """

    title: str
    submissions: tuple[str, ...]
    workloads: tuple[Workload, ...]
    times: Floats
    reasons: tuple[tuple[str, ...], ...]
    ratios: Floats
    scores: Floats
    ranks: NDArray[np.int64]
    tau_max: float
    factor: float
    timed: bool
    studies: tuple[str, ...]
    study_times: Floats
    study_trials: NDArray[np.int64]
    integral: str = "exact"
    low: Floats | None = None
    high: Floats | None = None
    level: float = 0.95
    facts: tuple[tuple[str, str], ...] = ()
    hardware_mark: str = ""
    baseline: str = ""
    speed: Speedups | None = None
    best: NDArray[np.intp] = field(init=False)

    def __post_init__(self) -> None:
        counted = np.where(np.array(self.reasons, dtype=object) == "", self.times, np.inf)
        fastest = counted.min(0, initial=np.inf)
        object.__setattr__(self, "best", np.isfinite(counted) & (counted == fastest))

    @property
    def comparable(self) -> str:
        """The caveat that belongs on every figure."""
        count = len(self.submissions)
        whom = f"the {count} submissions" if count > 1 else "the one submission"
        mark = f"  Hardware: {self.hardware_mark}." if self.hardware_mark else ""
        return f"Scores compare {whom} of this group and no others.{mark}"

    def by_rank(self) -> list[int]:
        """Submissions, the best first; equal ones by name."""
        return sorted(
            range(len(self.submissions)), key=lambda s: (self.ranks[s], self.submissions[s])
        )

    def ordered_names(self) -> list[str]:
        """Names, the best first."""
        return [self.submissions[s] for s in self.by_rank()]

    def is_best(self, s: int, w: int) -> bool:
        """The fastest of those that count on a workload; several can be."""
        return bool(self.best[s, w])

    def most(self, w: int) -> float:
        """What shares are shares of: the budget; in steps, the most that any submission needed."""
        if self.timed:
            return self.workloads[w].budget
        column = self.times[:, w]
        return float(column[np.isfinite(column)].max(initial=0.0)) or 1.0

    def share(self, s: int, w: int) -> float:
        """Time as a share of `most`."""
        return float(self.times[s, w]) / self.most(w)

    def reached(self, s: int) -> int:
        """Base workloads that count."""
        return int(np.isfinite(self.ratios[s]).sum())
