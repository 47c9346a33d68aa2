"""When will the metric reach its target?  A guess, by a straight line over the logarithm of time.

The metric of the last evaluations (the later half, between 4 and 12 of them) is fitted by
a + b log t with least squares; the guess is where this line meets the target.  The range is that of
the same fits to the last 4, 5, ... 24 evaluations.  There is no guess where that cannot be told:
fewer evaluations, a metric that does not move towards the target, a line that should have met it
already, or one that meets it only after 100 times the time used.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

FEWEST, USUAL, MOST = 4, 12, 24  # evaluations of a fit
_FARTHEST = 100.0  # times the time used
_LARGEST = 700.0  # exponent of e that a float can hold


@dataclass(frozen=True)
class Guess:
    """Timed seconds at which the target would be met.

    Args:
        time: by the usual fit.
        low: earliest of all fits; not before now.
        high: latest of them; infinite if one of them never meets it.
    """

    time: float
    low: float
    high: float


def extrapolate(points: Sequence[tuple[float, float]], target: float) -> Guess | None:
    """A guess from (timed seconds, metric) in the order of time; None where it cannot be told."""
    known = [(math.log(t), v) for t, v in points if t > 0]
    if len(known) < FEWEST:
        return None
    now, usual = known[-1][0], min(USUAL, max(FEWEST, math.ceil(len(known) / 2)))
    at = _meets(known[-usual:], target)
    if at is None or not now < at <= now + math.log(_FARTHEST):
        return None
    fits = [_meets(known[-n:], target) for n in range(FEWEST, min(MOST, len(known)) + 1)]
    times = [math.inf if met is None else met for met in fits]
    high = max(times)
    return Guess(
        math.exp(at),
        math.exp(max(now, min(times))),
        math.exp(high) if high < _LARGEST else math.inf,
    )


def _meets(points: Sequence[tuple[float, float]], target: float) -> float | None:
    """Log time at which the fitted line is at the target; None if it moves away from it."""
    x = sum(point[0] for point in points) / len(points)
    y = sum(point[1] for point in points) / len(points)
    spread = sum((a - x) ** 2 for a, _ in points)
    slope = sum((a - x) * (b - y) for a, b in points) / spread if spread > 0 else 0.0
    if not slope * (target - y) > 0:  # nan, too
        return None
    at = x + (target - y) / slope
    return at if math.isfinite(at) else None
