"""On which text is the vocabulary trained?  The reference's own sample of the training pairs.

The reference reads the pairs through another library, which orders them by a hash of "corpus/0/
line", cuts the order into 16 parts and deals out 16 examples of each part in turn.  Training stops
reading when a number of bytes is reached.  The same sample gives the same vocabulary.
"""

import hashlib
from collections.abc import Iterable
from typing import Any

import numpy as np

_PARTS, _BLOCK = 16, 16  # parts of the order, and examples that each gives in turn
_SALT = b"train"  # name of the split, in front of each key

Ints = np.ndarray[Any, np.dtype[np.int64]]


def sample(keys: Iterable[str], sizes: Ints, limit: int) -> Ints:
    """Numbers of the pairs of the sample, in its order.

    Args:
        keys: of the pairs, "corpus/0/line", in the order of the corpora.
        sizes: [n] bytes that each pair takes, its two line feeds included.
        limit: bytes; the pair that reaches it is the last one.
    """
    digests = b"".join(hashlib.md5(_SALT + key.encode()).digest() for key in keys)
    halves = np.frombuffer(digests, ">u8").reshape(-1, 2)
    order = np.lexsort((halves[:, 1], halves[:, 0]))
    dealt = order[deal(len(order))]
    before = np.cumsum(sizes[dealt]) - sizes[dealt]
    found: Ints = dealt[before < limit]
    return found


def deal(count: int) -> Ints:
    """A permutation of 0..count-1: blocks of the parts in turn, until all are used up."""
    edges = [round(count * part / _PARTS) for part in range(_PARTS + 1)]
    within = np.concatenate([np.arange(b - a) for a, b in zip(edges[:-1], edges[1:])])
    part = np.repeat(np.arange(_PARTS), np.diff(edges))
    found: Ints = np.lexsort((within, part, within // _BLOCK))
    return found
