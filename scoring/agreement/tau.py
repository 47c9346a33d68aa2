"""How alike are two orders?  Kendall's tau-b, and how often chance alone gives as much.

Shapes: any leading axes `...`, S things that are ordered.  Larger values come first; nan: unknown.
"""

from __future__ import annotations

from itertools import accumulate, combinations
from math import factorial

import numpy as np
from numpy.typing import NDArray

from scoring.certainty.ranks import DECIMALS

Floats = NDArray[np.float64]


def tau_b(first: Floats, second: Floats) -> Floats:
    """Kendall's tau-b of values [..., S] and [..., S]: (agreeing pairs - opposed pairs) over the
    geometric mean of the numbers of pairs that either tells apart (Kendall 1945).

    A thing that is nan in either is left out.  nan where one of the two tells no pair apart.
    """
    a, b = _signs(first), _signs(second)
    known = ~(np.isnan(a) | np.isnan(b))
    a, b = np.where(known, a, 0.0), np.where(known, b, 0.0)
    told = np.sqrt((a * a).sum((-2, -1)) * (b * b).sum((-2, -1)))
    with np.errstate(invalid="ignore", divide="ignore"):
        found: Floats = np.where(told > 0, (a * b).sum((-2, -1)) / told, np.nan)
    return found


def opposed(first: Floats, second: Floats) -> list[tuple[int, int]]:
    """Pairs (i, j) of values [S]: i is ahead in the first order and j in the second."""
    moved = (_signs(first) > 0) & (_signs(second) < 0)
    return [(int(i), int(j)) for i, j in np.argwhere(moved)]


def by_chance(things: int, tau: float) -> float:
    """Probability that a random order of so many things, without ties, has at least this tau."""
    pairs = _pairs(things)
    counts = _orders_by_opposed(things)
    enough = [c for at, c in enumerate(counts) if pairs - 2 * at >= tau * pairs - 1e-9]
    return sum(enough) / factorial(things)


def needed_tau(things: int, level: float = 0.05) -> float:
    """The least tau of an order without ties that chance gives with at most this probability; nan:
    there is none.
    """
    pairs = _pairs(things)
    orders = factorial(things)
    at_most = accumulate(_orders_by_opposed(things))  # with 0, at most 1, at most 2, ...
    rare = [1 - 2 * at / pairs for at, count in enumerate(at_most) if count / orders <= level]
    return min(rare, default=float("nan"))


def mutual(values: Floats) -> Floats:
    """tau-b of each two of some orders [K, S], as [K (K - 1) / 2]."""
    return np.array([tau_b(values[i], values[j]) for i, j in combinations(range(len(values)), 2)])


def _pairs(things: int) -> int:
    return things * (things - 1) // 2


def _orders_by_opposed(things: int) -> list[int]:
    """How many orders have 0, 1, 2, ... opposed pairs (Mahonian numbers)."""
    counts = [1]
    for more in range(2, things + 1):
        longer = [0] * (len(counts) + more - 1)
        for opposed_before, count in enumerate(counts):
            for added in range(more):
                longer[opposed_before + added] += count
        counts = longer
    return counts


def _signs(values: Floats) -> Floats:
    """[..., S, S]: 1 where the row is ahead of the column, -1 behind, 0 equal, nan unknown."""
    rounded = np.round(values, DECIMALS)
    one, other = rounded[..., :, None], rounded[..., None, :]
    signs = (one > other).astype(np.float64) - (one < other)  # of two infinities, too
    unknown = np.isnan(one) | np.isnan(other)
    found: Floats = np.where(unknown, np.nan, signs)
    return found
