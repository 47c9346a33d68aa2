"""What do the scores of many resamples say about each submission, and about each pair?

Intervals are percentile intervals: the middle `level` of the resampled scores.  They cover what
another draw of studies would change.  They do not cover another choice of workloads, of points
in the search space, or of machine, and with five studies or fewer they are rather too narrow.
"""

from dataclasses import dataclass
from math import ceil, inf
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from scoring.certainty.ranks import DECIMALS, ranks

Floats = NDArray[np.float64]

LEVEL = 0.95  # of the resamples lie within an interval


@dataclass(frozen=True)
class Intervals:
    """What resamples say.  S submissions, in the order of the scores given.

    Attributes:
        low, high: ends of the intervals of the scores [S].
        mean, spread: mean and standard deviation of the resampled scores [S].
        rank_low, rank_high: ends of the intervals of the ranks [S]; 1 is the best.
        at_rank: probability [S, S] that submission i has rank j + 1.
        beats, ties: probability [S, S] that i has a higher score than j, the same score as j.
        spread_of_difference: standard deviation [S, S] of score i - score j.
    """

    low: Floats
    high: Floats
    mean: Floats
    spread: Floats
    rank_low: NDArray[np.int64]
    rank_high: NDArray[np.int64]
    at_rank: Floats
    beats: Floats
    ties: Floats
    spread_of_difference: Floats


def tails(level: float = LEVEL) -> tuple[float, float]:
    """Percentiles between which the middle `level` of the values lies."""
    return 50 * (1 - level), 50 * (1 + level)


def intervals(resampled: Floats, level: float = LEVEL) -> Intervals:
    """Summary of resampled scores [N, S]."""
    if not 0 < level < 1:
        raise ValueError(f"level is {level}; a fraction between 0 and 1 is expected, e.g. 0.95")
    low, high = np.percentile(resampled, tails(level), axis=0)
    placed = ranks(resampled)
    ends = np.percentile(placed, tails(level), axis=0, method="nearest")
    rank_low, rank_high = ends.astype(np.int64)
    places = range(1, resampled.shape[1] + 1)
    beats, ties, spreads = _pairs(resampled)
    return Intervals(
        low=low,
        high=high,
        mean=resampled.mean(0),
        spread=resampled.std(0),
        rank_low=rank_low,
        rank_high=rank_high,
        at_rank=np.stack([(placed == place).mean(0) for place in places], axis=-1),
        beats=beats,
        ties=ties,
        spread_of_difference=spreads,
    )


def _pairs(resampled: Floats) -> tuple[Floats, Floats, Floats]:
    """Wins, ties and standard deviations [S, S] of differences, a row at a time."""
    beats, ties, spreads = [], [], []
    for one in resampled.T:
        row = np.round(one[:, None] - resampled, DECIMALS)
        beats.append((row > 0).mean(0))
        ties.append((row == 0).mean(0))
        spreads.append(np.round(row.std(0), DECIMALS))
    return np.stack(beats), np.stack(ties), np.stack(spreads)


def studies_to_separate(
    difference: float, spread: float, studies: int, level: float = LEVEL
) -> float:
    """How many studies a submission needs for the interval of a difference to leave out zero.

    The variance of a difference of scores is taken to fall as 1 / studies, its distribution to be
    normal and the difference to stay as observed: studies * (z * spread / difference)^2, rounded
    up, where z is the two-sided quantile of `level`.  inf: no difference, none helps.

    Args:
        difference: observed score A - score B.
        spread: standard deviation of the difference over resamples of `studies` studies.
    """
    z = NormalDist().inv_cdf((1 + level) / 2)
    if spread == 0:
        return float(studies) if difference else inf
    if difference == 0:
        return inf
    return max(1.0, float(ceil(round(studies * (z * spread / difference) ** 2, 9))))
