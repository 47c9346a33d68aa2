"""What is known of a submission that has not been run to the end, and what of its rivals?

Shapes: C rivals, W workloads, K studies, I trials of a study.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from scoring.times import workload_times

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
SHORTEST = 1.0  # s; nobody reaches a target sooner, and ratios need a time above 0


@dataclass(frozen=True)
class Rivals:
    """Submissions whose results are complete.

    Args:
        names: of the rivals, C.
        workloads: names, W.
        seconds: [C, W, K'] times of their studies, s; inf: target not reached, nan: no such study.
        budgets: [W] seconds that a trial may take.
    """

    names: tuple[str, ...]
    workloads: tuple[str, ...]
    seconds: Floats
    budgets: Floats

    @property
    def times(self) -> Floats:
        """[C, W] of the workloads, s: medians of the studies; inf where one has not been run."""
        return np.nan_to_num(workload_times(self.seconds), nan=np.inf, posinf=np.inf)

    @property
    def best(self) -> Floats:
        """[W] of the fastest, s."""
        found: Floats = self.times.min(0)
        return found


@dataclass
class Evidence:
    """What the trials of the new submission have shown; changed as they go on.

    Args:
        shape: (W, K, I).

    Attributes:
        reached: [W, K, I] time to the validation target, s; inf as long as it is not reached.
        spent: [W, K, I] s on the trial's clock so far.
        over: [W, K, I] it has ended: budget, its own end, failure.
        progress: [W, K, I] its best metric so far, larger is better; -inf if it has none.
        dropped: [W, K, I] it is not run further although it could, because others of its study
            were ahead; taken for one that does not win.
    """

    shape: tuple[int, int, int]
    reached: Floats = field(init=False)
    spent: Floats = field(init=False)
    over: Bools = field(init=False)
    progress: Floats = field(init=False)
    dropped: Bools = field(init=False)

    def __post_init__(self) -> None:
        self.reached = np.full(self.shape, np.inf)
        self.spent = np.zeros(self.shape)
        self.over = np.zeros(self.shape, bool)
        self.progress = np.full(self.shape, -np.inf)
        self.dropped = np.zeros(self.shape, bool)

    def studies(self) -> tuple[Floats, Floats]:
        """(least, most) [W, K] seconds that a study can turn out to take: it takes what its fastest
        trial does, and a trial that is still on its way takes longer than it has taken.
        """
        known = np.isfinite(self.reached)
        closed = self.over | self.dropped
        running = np.maximum(self.spent, SHORTEST)
        least = np.where(known, self.reached, np.where(closed, np.inf, running))
        return least.min(-1), self.reached.min(-1)

    def times(self) -> tuple[Floats, Floats]:
        """(least, most) [W] seconds of the workloads."""
        least, most = self.studies()
        return np.median(least, -1), np.median(most, -1)
