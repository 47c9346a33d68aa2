"""A raw archive in CIFAR-10's real binary format, drawn by us: shapes that must be learned, no
download.

Shape, not colour, is the class: both colours, place, size and noise are drawn for each image, and
every class looks the same in a mirror, because training images are flipped.
"""

import gzip
import io
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from workloads.cifar.prepare import ARCHIVE, TEST_FILES, TRAIN_FILES

_SIDE = 32  # pixels
_TRAIN_ROWS, _TEST_ROWS = 500, 500  # of each file: 2,000 to train on, 500 to validate, 500 to test
_CONTRAST = 90.0  # least distance of the two colours, in grey levels

Array = np.ndarray[Any, Any]

# One shape a class, on coordinates in which it fills [-1, 1]^2; x to the right, y downwards.
_SHAPES: tuple[Callable[[Array, Array], Array], ...] = (
    lambda x, y: np.hypot(x, y) < 1.0,  # disk
    lambda x, y: (np.hypot(x, y) < 1.0) & (np.hypot(x, y) > 0.6),  # ring
    lambda x, y: _inside(x, y),  # square
    lambda x, y: _inside(x, y) & (np.maximum(abs(x), abs(y)) > 0.6),  # frame
    lambda x, y: _inside(x, y) & (2 * abs(x) < y + 1),  # triangle
    lambda x, y: _inside(x, y) & (np.minimum(abs(x), abs(y)) < 0.28),  # plus
    lambda x, y: _inside(x, y) & (abs(abs(x) - abs(y)) < 0.35),  # cross
    lambda x, y: _inside(x, y) & (np.floor((y + 1) * 2.5) % 2 == 0),  # lying bars
    lambda x, y: _inside(x, y) & (np.floor((x + 1) * 2.5) % 2 == 0),  # standing bars
    lambda x, y: _inside(x, y) & (abs(y) > 0.3) & (abs(x) < abs(y)),  # hourglass
)


def write_raw(folder: Path, seed: int = 0) -> None:
    """Write the archive into `folder`; the same bytes for the same seed."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    with (folder / ARCHIVE).open("wb") as file:
        with gzip.GzipFile(fileobj=file, mode="wb", mtime=0, filename="") as packed:
            with tarfile.open(fileobj=packed, mode="w") as archive:
                for name in (*TRAIN_FILES, *TEST_FILES):
                    rows = _TEST_ROWS if name in TEST_FILES else _TRAIN_ROWS
                    data = _records(rows, rng)
                    entry = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
                    entry.size = len(data)
                    archive.addfile(entry, io.BytesIO(data))


def draw(label: int, rng: np.random.Generator) -> Array:
    """uint8 [3, 32, 32]: one shape of one colour on a ground of another."""
    radius = rng.uniform(7.0, 11.0)
    centre = rng.uniform(radius + 2, _SIDE - radius - 2, 2)
    y, x = (np.mgrid[0:_SIDE, 0:_SIDE] + 0.5 - centre[:, None, None]) / radius
    ground = rng.uniform(0, 255, 3)
    colour = ground
    while np.abs(colour - ground).mean() < _CONTRAST:
        colour = rng.uniform(0, 255, 3)
    mask = _SHAPES[label](x, y)[None]
    image = np.where(mask, colour[:, None, None], ground[:, None, None])
    image = image + rng.normal(0, 12, image.shape)
    return np.clip(image, 0, 255).astype(np.uint8)


def _records(rows: int, rng: np.random.Generator) -> bytes:
    labels = rng.permutation(np.arange(rows) % len(_SHAPES))
    return b"".join(bytes([label]) + draw(int(label), rng).tobytes() for label in labels)


def _inside(x: Array, y: Array) -> Array:
    found: Array = np.maximum(abs(x), abs(y)) < 1.0
    return found
