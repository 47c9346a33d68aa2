"""Who is placed where, and by how much do two orders differ?

The highest score has rank 1; equal scores share the better rank.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

DECIMALS = 10  # scores that agree so far are equal: what is left is the order of a sum


def ranks(scores: NDArray[np.float64]) -> NDArray[np.int64]:
    """Ranks [..., S] of scores [..., S], 1 for the best."""
    rounded = np.round(scores, DECIMALS)
    better = rounded[..., None, :] > rounded[..., :, None]
    placed: NDArray[np.int64] = 1 + better.sum(-1, dtype=np.int64)
    return placed


def spearman(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """Rank correlation of scores [S]; equal ones share the mean of their ranks.  nan: all equal."""
    a, b = _mean_ranks(first), _mean_ranks(second)
    a, b = a - a.mean(), b - b.mean()
    size = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / size if size else float("nan")


def _mean_ranks(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    rounded = np.round(scores, DECIMALS)
    better = (rounded[None, :] > rounded[:, None]).sum(1)
    equal = (rounded[None, :] == rounded[:, None]).sum(1)
    mean: NDArray[np.float64] = better + (equal + 1) / 2
    return mean


def largest_change(
    names: Sequence[str], before: NDArray[np.int64], after: NDArray[np.int64]
) -> tuple[str, int, int]:
    """(submission, rank before, rank after) of the largest change of rank; the first of equals."""
    worst = int(np.abs(after - before).argmax())
    return names[worst], int(before[worst]), int(after[worst])
