"""AlgoPerf's `random_utils`: keys of two integers below 2^31 - 1, split and folded by numpy.

    M = 2^31 - 1;  u(key) = key mod M, never negative
    split(key, n) = n rows of RandomState(u(key)).randint(0, M, (n, 2))
    PRNGKey(seed) = split(seed, 2)[0]
    fold_in(key, x) = [RandomState(u(key)).randint(0, M), x]

The numbers are the reference's.  It ignores keys that are numpy integers; here they are integers.
"""

from typing import Any

import numpy as np
from numpy.random import RandomState

_LIMIT = 2**31 - 1
Key = Any  # int, or two of them in a list, tuple or array


def PRNGKey(seed: Key) -> Any:
    """A key [2] int32 from a seed."""
    return split(seed, 2)[0]


def split(key: Key, num: int = 2) -> Any:
    """`num` new keys, [num, 2] int32."""
    return _generator(key).randint(0, _LIMIT, dtype=np.int32, size=(num, 2))


def fold_in(key: Key, data: int) -> list[Any]:
    """A key that depends on `key` and on `data`, such as a step."""
    return [_generator(key).randint(0, _LIMIT, dtype=np.int32), data]


def _generator(key: Key) -> RandomState:
    """Seeded by the key alone; the arithmetic is that of int64."""
    words = np.atleast_1d(np.asarray(key, dtype=np.int64)) % _LIMIT
    return RandomState(seed=words if words.size > 1 else int(words[0]))
