"""Which part of a picture is seen?  Random windows in training, fixed ones in evaluations.

Shapes: B batch, T tries.  A window is (top, left, height, width) in pixels.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from algoperf_pt.data.augment import Augment

Array = np.ndarray[Any, Any]
Ints = np.ndarray[Any, np.dtype[np.int64]]
Window = tuple[int, int, int, int]

_TRIES = 10  # before the central window is taken


@dataclass(frozen=True)
class Draws:
    """Uniform numbers of a batch: float64 [B, T] each, and bool [B]."""

    area: Array
    ratio: Array
    top: Array
    left: Array
    flip: Array


def draw(count: int, augment: Augment) -> tuple[Draws, np.random.Generator]:
    """Numbers for this rank's `count` rows, drawn for the global batch; and the generator, from
    which the rest of the step's randomness comes.
    """
    generator, total = augment.generator(), augment.total(count)
    drawn = augment.own(generator.random((total, 4, _TRIES)))
    flip = augment.own(generator.random(total)) < 0.5
    return Draws(drawn[:, 0], drawn[:, 1], drawn[:, 2], drawn[:, 3], flip), generator


def random_windows(
    sizes: Ints, draws: Draws, area: Sequence[float], ratio: Sequence[float]
) -> Ints:
    """[B, 4]: the first try that fits into its picture; where none does, a central window.

    Source: Szegedy et al. 2015 (https://arxiv.org/abs/1409.4842), section 6, as torchvision's
    RandomResizedCrop has it.

    Args:
        sizes: [B, 2] width and height of the pictures.
        draws: of the batch.
        area: bounds of the share of the picture's area, uniform.
        ratio: bounds of width over height, uniform in its logarithm.
    """
    whole = sizes[:, :1], sizes[:, 1:]  # [B, 1]
    surface = whole[0] * whole[1] * _between(draws.area, *area)  # [B, T]
    stretch = np.exp(_between(draws.ratio, *np.log(ratio)))
    width = np.rint(np.sqrt(surface * stretch)).astype(np.int64)
    height = np.rint(np.sqrt(surface / stretch)).astype(np.int64)
    fits = (0 < width) & (width <= whole[0]) & (0 < height) & (height <= whole[1])
    top = np.floor(draws.top * (whole[1] - height + 1)).astype(np.int64)
    left = np.floor(draws.left * (whole[0] - width + 1)).astype(np.int64)
    first = fits.argmax(1)
    every = np.stack([top, left, height, width], -1)  # [B, T, 4]
    windows: Ints = every[np.arange(len(sizes)), first]
    for row in np.flatnonzero(~fits.any(1)):
        windows[row] = central_window(int(sizes[row, 0]), int(sizes[row, 1]), ratio)
    return windows


def central_window(width: int, height: int, ratio: Sequence[float]) -> Window:
    """The largest central window whose width over height lies in `ratio`."""
    w, h = width, height
    if width / height < ratio[0]:
        h = round(w / ratio[0])
    elif width / height > ratio[1]:
        w = round(h * ratio[1])
    return (height - h) // 2, (width - w) // 2, h, w


def scaled_size(width: int, height: int, short_side: int) -> tuple[int, int]:
    """(width, height) once the shorter side has `short_side` pixels."""
    if width <= height:
        return short_side, int(short_side * height / width)
    return int(short_side * width / height), short_side


def central_crop(width: int, height: int, side: int) -> tuple[int, int]:
    """(top, left) of the central square of `side` pixels; halves are rounded to even."""
    return round((height - side) / 2), round((width - side) / 2)


def central_square(width: int, height: int, share: float) -> tuple[int, int, int]:
    """(top, left, side) of the test split's window: `share` of the shorter side, in float32."""
    side = int(np.float32(share) * np.float32(min(width, height)))
    return (height - side + 1) // 2, (width - side + 1) // 2, side


def _between(uniform: Array, low: float, high: float) -> Array:
    return low + (high - low) * uniform
