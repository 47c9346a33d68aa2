"""The handwritten digits that scikit-learn ships: 1,797 images of 8x8 pixels, values 0..16, with
labels.

Raw file: digits.csv.gz inside the installed package (the test part of the UCI set "Optical
recognition of handwritten digits", 43 writers).  A fixed permutation mixes the writers before the
splits are cut.
"""

import gzip
import zlib
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from algoperf_pt.data.preparer import Preparer, RawFile
from algoperf_pt.data.shards import Sample
from algoperf_pt.errors import DataError
from workloads.mnist.prepare import Bytes, blocks

_ROWS = {"train": 1297, "validation": 250, "test": 250}
_PIXELS, _LARGEST, _CLASSES = 64, 16, 10
_BLOCK = 100  # rows a member
_PERMUTATION_SEED = 1797  # of the split, fixed for ever: targets belong to it


class DigitsPreparer(Preparer):
    """Stored: blocks of 100 rows with the parts `image` (64 uint8 a row) and `label` (uint8)."""

    name = "digits"
    raw_files = (RawFile("digits.csv.gz"),)

    def raw_folder(self) -> Path | None:
        spec = find_spec("sklearn")
        return Path(spec.origin).parent / "datasets" / "data" if spec and spec.origin else None

    def expected_rows(self, split: str) -> int:
        return _ROWS[split]

    def members(self, split: str) -> int:
        return -(-_ROWS[split] // _BLOCK)

    def estimate_bytes(self, raw: Path) -> int:
        return sum(_ROWS.values()) * (_PIXELS + 1) + 64 * 1024  # tar headers and padding

    def samples(self, split: str, raw: Path) -> Iterator[Sample]:
        (path,) = self.check_raw(raw)
        table = read_table(path)
        table = table[np.random.default_rng(_PERMUTATION_SEED).permutation(len(table))]
        ends = np.cumsum(list(_ROWS.values()))
        start = dict(zip(_ROWS, [0, *ends[:-1]]))[split]
        part = table[start : start + _ROWS[split]]
        return blocks(part[:, :_PIXELS], part[:, _PIXELS], _BLOCK)


def read_table(path: Path) -> Bytes:
    """uint8 [1797, 65]: pixels, then the label; every value checked."""
    try:
        text = gzip.decompress(path.read_bytes()).decode("ascii")
        table = np.array([[int(float(v)) for v in line.split(",")] for line in text.split()])
    except (EOFError, OSError, ValueError, zlib.error) as error:
        raise DataError(
            f"{path} cannot be read: {error}", fix="install scikit-learn again"
        ) from error
    shape = (sum(_ROWS.values()), _PIXELS + 1)
    if table.shape != shape:
        raise DataError(f"{path} holds a table of {table.shape}", expected=f"{shape}")
    pixels, labels = table[:, :_PIXELS], table[:, _PIXELS]
    if pixels.min() < 0 or pixels.max() > _LARGEST or labels.min() < 0 or labels.max() >= _CLASSES:
        raise DataError(f"{path} holds values out of range", expected="pixels 0..16, labels 0..9")
    return table.astype(np.uint8)
