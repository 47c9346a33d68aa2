"""Which columns of a slice's k-space are kept?  The middle ones, and others at random.

The random numbers are those of TensorFlow's `stateless_uniform`, which has the reference's masks:
Philox4x32-10 (Salmon et al. 2011, https://doi.org/10.1145/2063384.2063405), keyed by two integers.

Shapes: N slices, W columns of the widest.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

_MULTIPLY = (np.uint64(0xD2511F53), np.uint64(0xCD9E8D57))
_BUMP = (np.uint64(0x9E3779B9), np.uint64(0xBB67AE85))  # added to the key in each round
_ROUNDS = 10
_SCRAMBLE = (0x3EC8F720, 0x02461E29)  # key under which the two integers become key and counter
_LOW, _HALF = np.uint64(0xFFFFFFFF), np.uint64(32)
_MANTISSA, _ONE = np.uint32(0x7FFFFF), np.uint32(0x3F800000)  # bits of a float32 in [1, 2)


@dataclass(frozen=True)
class MaskRule:
    """How many columns are kept.

    Args:
        center_fraction: share of the columns in the middle that are always kept.
        acceleration: one of so many columns is kept on average, those in the middle included.
    """

    center_fraction: float
    acceleration: float

    def middle(self, widths: Array) -> Array:
        """int64: columns in the middle; the product in float32 and cut, as in the reference."""
        product = widths.astype(np.float32) * np.float32(self.center_fraction)
        return product.astype(np.int64)

    def kept(self, widths: Array, uniform: Array) -> Array:
        """bool [N, W]: the kept columns of each slice; none beyond its width.

        Args:
            widths: int [N] columns of each slice.
            uniform: float32 [N or 1, W] random numbers in [0, 1).
        """
        width = widths[:, None].astype(np.int64)
        middle = self.middle(width)
        first = (width - middle + 1) // 2
        wanted = width.astype(np.float32) / np.float32(self.acceleration) - middle
        share = wanted.astype(np.float32) / (width - middle).astype(np.float32)
        column = np.arange(uniform.shape[1])
        inside = (column >= first) & (column < first + middle)
        kept: Array = (inside | (uniform < share)) & (column < width)
        return kept


def uniform(seeds: Array, count: int) -> Array:
    """float32 [N, count] in [0, 1), as `tf.random.stateless_uniform((count,), seed)` of each seed.

    Args:
        seeds: int64 [N, 2].
        count: a longer request begins with the same numbers.
    """
    words = np.ascontiguousarray(seeds, np.int64).view(np.uint32).astype(np.uint64)  # [N, 4]
    zero = np.uint64(0)
    scramble = [np.uint64(word) for word in _SCRAMBLE]
    mixed = _philox(list(words.T), scramble)  # key, then half a counter
    blocks = np.arange(-(-count // 4), dtype=np.uint64)[None]
    counter = [blocks, np.full_like(blocks, zero), mixed[2][:, None], mixed[3][:, None]]
    made = _philox(counter, [mixed[0][:, None], mixed[1][:, None]])
    bits = np.stack(made, -1).astype(np.uint32).reshape(len(words), -1)[:, :count]
    values: Array = ((bits & _MANTISSA) | _ONE).view(np.float32) - np.float32(1)
    return values


def _philox(counter: list[Array], key: list[Any]) -> list[Array]:
    """Four words of a block for a counter of four words and a key of two; uint64 that hold 32 bits,
    so that products keep their upper halves.
    """
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(_ROUNDS):
        p0, p1 = _MULTIPLY[0] * c0, _MULTIPLY[1] * c2
        c0, c1, c2, c3 = (p1 >> _HALF) ^ c1 ^ k0, p1 & _LOW, (p0 >> _HALF) ^ c3 ^ k1, p0 & _LOW
        k0, k1 = (k0 + _BUMP[0]) & _LOW, (k1 + _BUMP[1]) & _LOW
    return list(np.broadcast_arrays(c0, c1, c2, c3))
