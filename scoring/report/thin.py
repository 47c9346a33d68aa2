"""Which points of a learning curve does a page need?  As many as a screen shows, none made up."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

MOST = 40  # points of one trial


def thinned(y: Floats, keep: tuple[int, ...] = (), most: int = MOST) -> NDArray[np.intp]:
    """Indices of at most `most` points of `y` [N], in order: the first, the last, those of `keep`,
    and the lowest and the highest of each stretch, so that no spike is lost.  Values that are not
    finite are left out."""
    there = np.flatnonzero(np.isfinite(y))
    if there.size <= most:
        return there
    fixed = {int(there[0]), int(there[-1]), *(k for k in keep if 0 <= k < y.size)}
    fixed = {k for k in fixed if np.isfinite(y[k])}
    stretches = np.array_split(there, max(1, (most - len(fixed)) // 2))
    ends = {int(part[pick(y[part])]) for part in stretches for pick in (np.argmin, np.argmax)}
    return np.array(sorted(fixed | ends), dtype=np.intp)


def rounded(values: Floats, digits: int) -> list[float]:
    """Values with `digits` significant digits: what a page of a few megabytes can carry."""
    return [float(f"{value:.{digits}g}") for value in values]


def on_grid(values: Floats, end: float, cells: int = 20_000) -> list[float]:
    """Times, rounded to a step of 1, 2 or 5 times a power of ten: `end` has about `cells` of it."""
    if not end > 0:
        return [float(v) for v in values]
    raw = end / cells
    power = 10.0 ** np.floor(np.log10(raw))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= raw)
    return [_plain(v) for v in np.round(values / step) * step]


def _plain(value: float) -> float:
    short = float(f"{value:.8g}")
    return int(short) if short.is_integer() and abs(short) < 1e15 else short
