"""What does each of RandAugment's operations do to a picture?  To the bit what Pillow's does.

Those that integer arithmetic does faster are written out; Pillow does the rest.  Pictures are uint8
[h, w, 3], contiguous, and left as they are.

Pillow's ImageEnhance blends a picture x with a duller one d, at strength 1.9: d + 1.9 (x - d), cut
off to whole numbers and to 0..255.  In integers that is (19 x - 9 d) // 10.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from algoperf_pt.optional import need

Pixels = np.ndarray[Any, np.dtype[np.uint8]]
Array = np.ndarray[Any, Any]

GREY = 128  # what comes in from outside
SHEAR, TURN = 0.3, 30.0  # pixels a pixel, degrees
_TENTHS = 19  # strength of ImageEnhance, in tenths
_KEPT_BITS = 0xF0  # posterize: 4 bits
_DARK, _ADDED = 128, 110  # solarize: what is below the one gains the other


def moved(pixels: Pixels, name: str, sign: int) -> Pixels:
    """Sheared about the top left corner, or turned about the centre; nearest pixels."""
    image = _image(pixels)
    fill = (GREY,) * 3
    if name == "Rotate":
        return np.asarray(image.rotate(sign * TURN, fillcolor=fill))
    x, y = (sign * SHEAR, 0) if name == "ShearX" else (0, sign * SHEAR)
    affine = need("PIL.Image", "imagenet").Transform.AFFINE
    return np.asarray(image.transform(image.size, affine, (1, x, 0, y, 1, 0), fillcolor=fill))


def shifted(pixels: Pixels, down: int, right: int) -> Pixels:
    """By whole pixels."""
    height, width = pixels.shape[:2]
    found = np.full_like(pixels, GREY)
    (to_y, from_y), (to_x, from_x) = _overlap(height, down), _overlap(width, right)
    found[to_y, to_x] = pixels[from_y, from_x]
    return found


def _overlap(length: int, shift: int) -> tuple[slice, slice]:
    """(where pixels come to lie, where they came from)."""
    kept = max(0, length - abs(shift))
    far, near = slice(length - kept, length), slice(0, kept)
    return (far, near) if shift >= 0 else (near, far)


def stronger(pixels: Pixels, dull: int) -> Pixels:
    """Away from one grey level: 0 makes brighter, the mean more contrast."""
    return _away(pixels.astype(np.int16), dull)


def more_colour(pixels: Pixels) -> Pixels:
    """Away from each pixel's own grey."""
    grey = np.asarray(_image(pixels).convert("L").convert("RGB"))
    return _away(pixels.astype(np.int16), grey.astype(np.int16))


def sharper(pixels: Pixels) -> Pixels:
    """Away from a mean over 3x3 pixels in which the middle one counts five times; the outermost
    pixels stay.
    """
    height, width = pixels.shape[:2]
    wide = pixels.reshape(height, -1).astype(np.int16)  # [h, 3 w]
    rows = wide[:-2] + wide[1:-1]
    rows += wide[2:]
    total = rows[:, :-6] + rows[:, 3:-3]
    total += rows[:, 6:]
    middle = wide[1:-1, 3:-3]
    total += 4 * middle
    total *= 2
    total += 13
    total //= 26  # a thirteenth, rounded
    found = pixels.copy()
    found[1:-1, 1:-1] = _away(middle, total).reshape(height - 2, width - 2, 3)
    return found


def _away(x: Array, dull: Any) -> Pixels:
    """(19 x - 9 d) // 10 within 0..255; x is int16."""
    found = x * np.int16(_TENTHS)
    found -= dull * np.int16(_TENTHS - 10)
    found //= 10
    return np.clip(found, 0, 255, out=found).astype(np.uint8)  # faster than maximum and minimum


def mean_grey(pixels: Pixels) -> int:
    """Rounded mean of the grey picture."""
    grey = np.asarray(_image(pixels).convert("L"))
    return int(int(grey.sum(dtype=np.int64)) / grey.size + 0.5)


def posterized(pixels: Pixels) -> Pixels:
    """Its highest bits."""
    return pixels & np.uint8(_KEPT_BITS)


def solarized(pixels: Pixels) -> Pixels:
    """Dark pixels gain a constant; none exceeds 255 by that."""
    return pixels + (pixels < _DARK).view(np.uint8) * np.uint8(_ADDED)


def stretched(pixels: Pixels) -> Pixels:
    """Each channel's darkest level becomes 0, its brightest 255."""
    flat = pixels.reshape(len(pixels), -1)  # [h, 3 w]
    low, high = (end(0).reshape(-1, 3) for end in (flat.min, flat.max))
    ends = list(zip(low.min(0).tolist(), high.max(0).tolist()))
    if all(pair == (0, 255) or pair[0] == pair[1] for pair in ends):
        return pixels
    return _looked_up(pixels, np.concatenate([_stretch(*pair) for pair in ends]))


@lru_cache(maxsize=1 << 12)
def _stretch(low: int, high: int) -> Pixels:
    """[256], as ImageOps.autocontrast computes it."""
    if high <= low:
        return np.arange(256, dtype=np.uint8)
    scale = 255.0 / (high - low)
    table = (np.arange(256) * scale + -low * scale).astype(np.int64)  # cut off
    return table.clip(0, 255).astype(np.uint8)


def equalized(pixels: Pixels) -> Pixels:
    """Each channel's levels become equally frequent."""
    counts = np.array(_image(pixels).histogram()).reshape(3, 256)
    return _looked_up(pixels, np.concatenate([_equalize(channel) for channel in counts]))


def _equalize(counts: Array) -> Pixels:
    """[256], as ImageOps.equalize computes it."""
    present = counts[counts > 0]
    step = int(counts.sum() - present[-1]) // 255
    if len(present) <= 1 or step == 0:
        return np.arange(256, dtype=np.uint8)
    before = np.cumsum(counts) - counts
    return ((step // 2 + before) // step).clip(0, 255).astype(np.uint8)


def cut_out(pixels: Pixels, centre: Sequence[float], half: int) -> Pixels:
    """A grey square; at the left and upper border it is moved, not cut, and both its corners belong
    to it.
    """
    height, width = pixels.shape[:2]
    left, top = (int(max(0, place - half)) for place in centre)
    right, bottom = min(width, left + 2 * half), min(height, top + 2 * half)
    found = pixels.copy()
    found[top : bottom + 1, left : right + 1] = GREY
    return found


def _looked_up(pixels: Pixels, table: Pixels) -> Pixels:
    """By channel: table [768]."""
    flat = pixels.reshape(len(pixels), -1)
    found: Pixels = np.take(table, flat + _channels(flat.shape[1]), mode="clip")
    return found.reshape(pixels.shape)


@lru_cache(maxsize=4)
def _channels(length: int) -> Array:
    """uint16 [length]: 0, 256, 512, 0, ...: where each channel's table begins."""
    return np.resize(np.array([0, 256, 512], np.uint16), length)


def _image(pixels: Pixels) -> Any:
    """Pillow's, of the same pixels."""
    size = pixels.shape[1::-1]
    image: Callable[..., Any] = need("PIL.Image", "imagenet").frombuffer
    return image("RGB", size, pixels, "raw", "RGB", 0, 1)
