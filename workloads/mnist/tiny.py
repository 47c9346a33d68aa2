"""Raw files in MNIST's real format, drawn by us: seven-segment digits that must be learned,
no download.

Each digit is drawn with its own place, size, stroke width and brightness on a noisy ground, and
strokes fade in and out, so neither one pixel nor the amount of ink gives the class away.
"""

import gzip
import struct
from pathlib import Path
from typing import Any

import numpy as np

_SIDE = 28  # pixels
_TRAIN_ROWS, _TEST_ROWS = 2500, 500  # 2,000 to train on, 500 to validate, 500 to test
_SEGMENTS = {  # ends (x, y) in a box of width 1 and height 2, y downwards
    "a": ((0, 0), (1, 0)),
    "b": ((1, 0), (1, 1)),
    "c": ((1, 1), (1, 2)),
    "d": ((0, 2), (1, 2)),
    "e": ((0, 1), (0, 2)),
    "f": ((0, 0), (0, 1)),
    "g": ((0, 1), (1, 1)),
}
_DIGITS = ("abcdef", "bc", "abged", "abgcd", "fgbc", "afgcd", "afgedc", "abc", "abcdefg", "abcdfg")

Array = np.ndarray[Any, Any]


def write_raw(folder: Path, seed: int = 0) -> None:
    """Write the four idx .gz files into `folder`; the same bytes for the same seed."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    for name, rows in (("train", _TRAIN_ROWS), ("t10k", _TEST_ROWS)):
        labels = rng.integers(0, len(_DIGITS), rows).astype(np.uint8)
        images = np.stack([draw(int(label), rng) for label in labels])
        _write(folder / f"{name}-images-idx3-ubyte.gz", 0x803, images)
        _write(folder / f"{name}-labels-idx1-ubyte.gz", 0x801, labels)


def draw(digit: int, rng: np.random.Generator) -> Array:
    """uint8 [28, 28]: one digit on a noisy ground."""
    y, x = np.mgrid[0:_SIDE, 0:_SIDE].astype(np.float64)
    scale = rng.uniform(7.0, 9.0)
    left, top = rng.uniform(8, 12), rng.uniform(4, 7)
    width = rng.uniform(0.8, 1.6)
    slant = rng.uniform(-0.15, 0.15)
    image = np.zeros((_SIDE, _SIDE))
    for segment in _DIGITS[digit]:
        (x0, y0), (x1, y1) = _SEGMENTS[segment]
        start = (left + scale * (x0 - slant * (y0 - 1)), top + scale * y0)
        end = (left + scale * (x1 - slant * (y1 - 1)), top + scale * y1)
        stroke = np.clip(width + 0.5 - _distance(x, y, start, end), 0, 1) * rng.uniform(0.6, 1.0)
        image = np.maximum(image, stroke)
    image = image * rng.uniform(0.7, 1.0) + rng.normal(0, 0.08, image.shape)
    return (np.clip(image, 0, 1) * 255).astype(np.uint8)


def _distance(x: Array, y: Array, start: tuple[float, float], end: tuple[float, float]) -> Array:
    """Distance of each pixel from the segment between two points."""
    dx, dy = end[0] - start[0], end[1] - start[1]
    along = np.clip(((x - start[0]) * dx + (y - start[1]) * dy) / (dx * dx + dy * dy), 0, 1)
    return np.hypot(x - start[0] - along * dx, y - start[1] - along * dy)


def _write(path: Path, magic: int, data: Array) -> None:
    header = struct.pack(f">I{data.ndim}I", magic, *data.shape)
    with path.open("wb") as file, gzip.GzipFile(
        fileobj=file, mode="wb", mtime=0, filename=""
    ) as out:
        out.write(header + data.tobytes())
