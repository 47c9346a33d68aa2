"""How is a picture of the test split scaled?  Bicubic without antialiasing, as TensorFlow does it.

Separable, half-pixel centres, Keys' kernel with a = -0.5; the place between two pixels is rounded
to 1/1024, taps outside the picture are left out.  Values are neither clipped nor rounded.
Source: Keys 1981, "Cubic convolution interpolation for digital image processing".
"""

from functools import lru_cache
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
Floats = np.ndarray[Any, np.dtype[np.float32]]

_A = -0.5
_TABLE = 1024  # steps between two pixels
_FIRST, _TAPS = -1, 4


def resize(pixels: Array, side: int) -> Floats:
    """float32 [side, side, 3] from uint8 [s, s, 3]."""
    rows, weights = taps(pixels.shape[0], side)
    source = pixels.astype(np.float32)
    down = _along_rows(source, rows, weights)  # [side, s, 3]
    across = _along_rows(np.ascontiguousarray(down.transpose(1, 0, 2)), rows, weights)
    return np.ascontiguousarray(across.transpose(1, 0, 2))


def _along_rows(source: Floats, rows: Array, weights: Floats) -> Floats:
    """Weighted sums of rows: [side, ...] from [s, ...]."""
    wide = weights[:, :, None, None]
    found: Floats = source[rows[:, 0]] * wide[:, 0]
    for tap in range(1, _TAPS):
        found += source[rows[:, tap]] * wide[:, tap]
    return found


@lru_cache(maxsize=1024)
def taps(source: int, side: int) -> tuple[Array, Floats]:
    """int64 and float32 [side, 4]: which source pixels make up each target pixel, and how much."""
    one = np.float32(1)
    scale = np.float32(source) / np.float32(side)
    place = (np.arange(side, dtype=np.float32) + one / 2) * scale - one / 2
    before = np.floor(place)
    step = np.rint((place - before) * np.float32(_TABLE)) / np.float32(_TABLE)
    rows = before.astype(np.int64)[:, None] + np.arange(_FIRST, _FIRST + _TAPS)
    weights = np.stack([_outer(1 + step), _inner(step), _inner(1 - step), _outer(2 - step)], 1)
    weights = np.where((0 <= rows) & (rows < source), weights, 0).astype(np.float32)
    return rows.clip(0, source - 1), weights / weights.sum(1, keepdims=True)


def _inner(x: Array) -> Array:
    """The kernel for 0 <= x <= 1."""
    found: Array = ((_A + 2) * x - (_A + 3)) * x * x + 1
    return found


def _outer(x: Array) -> Array:
    """The kernel for 1 < x <= 2."""
    found: Array = ((_A * x - 5 * _A) * x + 8 * _A) * x - 4 * _A
    return found
