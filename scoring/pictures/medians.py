"""What is a submission's learning curve on a workload?  One trial of each study, and their median.

Each study is represented by the trial that its time comes from: the first to reach the target, else
the one with the best value.  Between evaluations a curve is a straight line; a trial that has ended
keeps its last value, so that the median at a time is over all studies that began before it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scoring.logs.trial import first_hit

Floats = NDArray[np.float64]

POINTS = 60  # of a median curve


@dataclass(frozen=True)
class Points:
    """The evaluations of a trial: `x` on the clock (seconds or steps) [N], `y` the metric [N].

    A void trial is drawn, but its times do not count.
    """

    study: str
    x: Floats
    y: Floats
    void: bool = False

    def first_hit(self, target: float, goal: str) -> float:
        """Where the target is first reached; inf if never.  NaN reaches nothing."""
        row = -1 if self.void or not self.y.size else first_hit(self.y, goal, target)
        return float("inf") if row < 0 else float(self.x[row])

    def best(self, goal: str) -> float:
        """The best value; nan if there is none."""
        if not np.isfinite(self.y).any():
            return float("nan")
        kept = self.y[np.isfinite(self.y)]
        return float(kept.min() if goal == "min" else kept.max())


@dataclass(frozen=True)
class Curve:
    """Median and range over studies [T]; the range is from the lowest to the highest study."""

    x: Floats
    median: Floats
    low: Floats
    high: Floats
    studies: int

    def approach(self, target: float, goal: str) -> tuple[Floats, Floats]:
        """Distance of the median to the target: where, and how far [T'].

        It ends with 0 where the median first reaches the target, on the line between two points.
        """
        far = self.median - target if goal == "min" else target - self.median
        hit = int((far <= 0).argmax())
        if far[hit] > 0:
            return self.x, far
        if hit == 0:
            return self.x[:1], np.zeros(1)
        part = far[hit - 1] / (far[hit - 1] - far[hit])
        crossing = self.x[hit - 1] + part * (self.x[hit] - self.x[hit - 1])
        return np.append(self.x[:hit], crossing), np.append(far[:hit], 0.0)


def one_per_study(trials: Sequence[Points], target: float, goal: str) -> list[Points]:
    """The trial of each study that stands for it, in the order in which the studies come."""
    sign = 1.0 if goal == "min" else -1.0

    def order(points: Points) -> tuple[float, float]:
        best = points.best(goal)
        return points.first_hit(target, goal), float("inf") if np.isnan(best) else sign * best

    chosen: dict[str, Points] = {}
    for points in trials:
        held = chosen.get(points.study)
        if points.x.size and (held is None or order(points) < order(held)):
            chosen[points.study] = points
    return list(chosen.values())


def median_curve(studies: Sequence[Points]) -> Curve | None:
    """Median over one trial of each study; None without a finite value."""
    finite = [(p.x[ok], p.y[ok]) for p in studies if (ok := np.isfinite(p.y)).any()]
    if not finite:
        return None
    x = np.linspace(max(x[0] for x, _ in finite), max(x[-1] for x, _ in finite), POINTS)
    values = np.stack([np.interp(x, *points) for points in finite])  # [studies, T]
    return Curve(x, np.median(values, 0), values.min(0), values.max(0), len(finite))
