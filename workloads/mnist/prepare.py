"""MNIST from its four raw idx files (gzipped as downloaded, or unpacked).

The files are distributed by several mirrors of the original site; names, magic numbers and counts
are checked, so any mirror will do.  Stored: blocks of 1,000 rows with the parts `image` (height *
width uint8 a row) and `label` (uint8).
"""

import gzip
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from algoperf_pt.data.preparer import Preparer, RawFile
from algoperf_pt.data.shards import Sample
from algoperf_pt.errors import DataError

_IMAGES, _LABELS = 0x803, 0x801  # idx magic numbers: unsigned bytes, 3 and 1 dimensions
_CLASSES = 10
_BLOCK = 1000  # rows a member: few members, and blocks small enough to read whole

Bytes = np.ndarray[Any, np.dtype[np.uint8]]


class MnistPreparer(Preparer):
    """Train: the first rows of the training files; validation: the last ones; test: the t10k files.

    Args:
        name: of the dataset.
        validation_rows: rows at the end of the training files that are kept for validation.
    """

    raw_files = (
        RawFile("train-images-idx3-ubyte.gz"),
        RawFile("train-labels-idx1-ubyte.gz"),
        RawFile("t10k-images-idx3-ubyte.gz"),
        RawFile("t10k-labels-idx1-ubyte.gz"),
    )

    def __init__(self, name: str = "mnist", validation_rows: int = 10_000) -> None:
        self.name, self.validation_rows = name, validation_rows

    def find(self, raw: Path, file: RawFile) -> Path | None:
        candidates = (raw / file.name, raw / file.name.removesuffix(".gz"))
        return next((path for path in candidates if path.is_file()), None)

    def estimate_bytes(self, raw: Path) -> int:
        pixels, labels = (read_idx(path) for path in self.check_raw(raw)[:2])
        return int(
            (pixels.nbytes + labels.nbytes) * 1.25
        )  # the test files are a sixth of the training files

    def samples(self, split: str, raw: Path) -> Iterator[Sample]:
        paths = self.check_raw(raw)
        images, labels = read_pair(*(paths[2:] if split == "test" else paths[:2]))
        if split != "test":
            if len(images) <= self.validation_rows:
                raise DataError(
                    f"{paths[0]} has {len(images)} images",
                    expected=f"more than {self.validation_rows}",
                )
            cut = len(images) - self.validation_rows
            part = slice(cut) if split == "train" else slice(cut, None)
            images, labels = images[part], labels[part]
        return blocks(images, labels, _BLOCK)


def blocks(images: Bytes, labels: Bytes, rows: int) -> Iterator[Sample]:
    """Samples of up to `rows` rows each."""
    for number, start in enumerate(range(0, len(images), rows)):
        image, label = images[start : start + rows], labels[start : start + rows]
        yield Sample(
            f"{number:06d}", {"image": image.tobytes(), "label": label.tobytes()}, len(image)
        )


def read_pair(images_path: Path, labels_path: Path) -> tuple[Bytes, Bytes]:
    """Images [n, height, width] and labels [n] that belong together."""
    images, labels = read_idx(images_path), read_idx(labels_path)
    if images.ndim != 3 or labels.ndim != 1:
        raise DataError(
            f"{images_path} or {labels_path} holds the other kind of data",
            expected="images, labels",
        )
    if len(images) != len(labels):
        raise DataError(
            f"{images_path} has {len(images)} images, {labels_path} has {len(labels)} labels",
            expected="as many labels as images",
            fix="one of the files is of another set: fetch both again",
        )
    if labels.max(initial=0) >= _CLASSES:
        raise DataError(
            f"{labels_path} has a label {labels.max()}", expected=f"labels from 0 to {_CLASSES - 1}"
        )
    return images, labels


def read_idx(path: Path) -> Bytes:
    """An idx file of unsigned bytes with 1 or 3 dimensions; every byte accounted for."""
    try:
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (EOFError, OSError, zlib.error) as error:
        raise DataError(
            f"{path} cannot be unpacked: {error}", fix="it is truncated or corrupt: fetch it again"
        ) from error
    if len(data) < 4:
        raise DataError(f"{path} has {len(data)} bytes", expected="an idx file")
    (magic,) = struct.unpack_from(">I", data)
    if magic not in (_IMAGES, _LABELS):
        raise DataError(
            f"{path} starts with {magic:#010x}",
            expected=f"{_IMAGES:#010x} or {_LABELS:#010x} (idx)",
        )
    dimensions = magic & 0xFF
    header = 4 + 4 * dimensions
    shape = struct.unpack_from(f">{dimensions}I", data, 4) if len(data) >= header else (-1,)
    if len(data) - header != np.prod(shape):
        raise DataError(
            f"{path} has {len(data) - header} bytes of data for the shape {shape}",
            expected=f"{np.prod(shape)}",
            fix="it is truncated or corrupt: fetch it again",
        )
    return np.frombuffer(data, np.uint8, offset=header).reshape(shape)
