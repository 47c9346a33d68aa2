"""Which quasi-random numbers does the reference draw?  A shifted Halton sequence with permuted
digits (arXiv 1706.03200), number for number the same.

Every number is a pure function of (number of dimensions, dimension, index): asking for more points
only appends.
"""

import math
from functools import cache

SKIPPED = 100  # the first elements of the sequence, which are correlated
_LIMIT = 1000  # primes below it are taken; it grows by itself when they do not suffice


def unit_points(count: int, dimensions: int) -> list[list[float]]:
    """`count` points of the unit cube [0, 1)^dimensions in the sequence's own order."""
    columns = [column(base, count) for base in bases(dimensions)]
    return [list(row) for row in zip(*columns, strict=True)]


def shuffled_index(count: int, seed: int) -> list[int]:
    """In which order the reference takes `count` points: entry k is the index of the k-th.

    Args:
        count: of all points.
        seed: from 0 to 2^32 - 1; the order after `numpy.random.seed(seed)`.
    """
    import numpy as np

    order = list(range(count))
    np.random.RandomState(seed).shuffle(order)
    return order


def bases(dimensions: int) -> list[int]:
    """The prime of each dimension, ascending: the last ones before the largest."""
    limit = _LIMIT
    while len(primes := odd_primes(limit)) < dimensions + 1:
        limit += _LIMIT
    return primes[-dimensions - 1 : -1]


def odd_primes(limit: int) -> list[int]:
    """All primes below `limit` but 2."""
    return [
        n for n in range(3, limit, 2) if all(n % p for p in range(3, math.isqrt(n) + 1, 2))
    ]


def column(base: int, count: int) -> list[float]:
    """One dimension: scrambled radical inverses to a prime base, shifted modulo 1."""
    digits, shift = scrambling(base)
    first = SKIPPED + 1
    inverses = (radical_inverse(i, base, digits) for i in range(first, first + count))
    return [math.fmod(inverse + shift, 1.0) for inverse in inverses]


def radical_inverse(index: int, base: int, digits: tuple[int, ...]) -> float:
    """The digits of `index`, permuted and mirrored at the point.

    Args:
        index: from 0.
        base: of the number system.
        digits: by what each digit is replaced; 0 stays 0.
    """
    inverse, power = 0.0, 1
    while index > 0:
        index, digit = divmod(index, base)
        power *= base
        inverse += digits[digit] / power
    return inverse


@cache
def scrambling(base: int) -> tuple[tuple[int, ...], float]:
    """The permutation of the digits and the shift, both from a generator that the base seeds."""
    import numpy as np

    generator = np.random.RandomState(base)
    digits = list(range(1, base))
    generator.shuffle(digits)
    return (0, *digits), float(generator.random_sample())
