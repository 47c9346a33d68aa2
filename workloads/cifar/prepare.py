"""CIFAR-10 from its binary archive: records of a label byte and 3,072 pixel bytes, no pickle.

https://www.cs.toronto.edu/~kriz/cifar.html, "CIFAR-10 binary version".  The files hold the same
images in the same order as those of the version for Python.  Stored: blocks of 1,000 rows with the
parts `image` (3,072 uint8 a row: red, green, blue planes) and `label` (uint8).
"""

import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from algoperf_pt.data.preparer import Preparer, RawFile
from algoperf_pt.data.shards import Sample
from algoperf_pt.errors import DataError

ARCHIVE = "cifar-10-binary.tar.gz"
TRAIN_FILES = tuple(f"data_batch_{number}.bin" for number in range(1, 6))
TEST_FILES = ("test_batch.bin",)
PIXELS, CLASSES = 3 * 32 * 32, 10
_RELEASED = RawFile(
    ARCHIVE,
    url="https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
    sha256="c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
    bytes=170_052_171,
)
_RELEASED_ROWS = {"train": 45_000, "validation": 5_000, "test": 10_000}
_RECORD = 1 + PIXELS  # bytes
_BLOCK = 1000  # rows a member: few members, and blocks small enough to read whole

Bytes = np.ndarray[Any, np.dtype[np.uint8]]


class CifarPreparer(Preparer):
    """Train: the first rows of the five training files; validation: the last ones; test: the test
    file.

    Args:
        name: of the dataset.
        rows: examples of each split, of which the archive must hold just these; None: the archive
            is the released one, and its checksum is compared.
    """

    def __init__(self, name: str = "cifar", rows: dict[str, int] | None = None) -> None:
        self.name = name
        self.rows = rows or _RELEASED_ROWS
        self.raw_files = (RawFile(ARCHIVE) if rows else _RELEASED,)

    def expected_rows(self, split: str) -> int:
        return self.rows[split]

    def members(self, split: str) -> int:
        return -(-self.rows[split] // _BLOCK)

    def estimate_bytes(self, raw: Path) -> int:
        return sum(self.rows.values()) * _RECORD + 256 * 1024  # tar headers and padding

    def samples(self, split: str, raw: Path) -> Iterator[Sample]:
        (path,) = self.check_raw(raw)
        records = read_records(path, TEST_FILES if split == "test" else TRAIN_FILES)
        wanted = ("test",) if split == "test" else ("train", "validation")
        expected = sum(self.rows[name] for name in wanted)
        if len(records) != expected:
            raise DataError(
                f"{path} holds {len(records)} examples for {' and '.join(wanted)}",
                expected=str(expected),
                fix="it is of another release: fetch it again",
            )
        start = self.rows["train"] if split == "validation" else 0
        return _blocks(records[start : start + self.rows[split]])


def read_records(path: Path, names: tuple[str, ...]) -> Bytes:
    """uint8 [n, 3073] of the named files in a row: a label, then red, green and blue planes."""
    found: dict[str, bytes] = {}
    try:
        with tarfile.open(path, "r:gz") as archive:
            for member in archive:
                name = PurePosixPath(member.name).name
                stream = archive.extractfile(member) if name in names else None
                if stream is not None:
                    found[name] = stream.read()
    except (EOFError, OSError, tarfile.TarError, zlib.error) as error:
        raise DataError(
            f"{path} cannot be unpacked: {error}", fix="it is truncated or corrupt: fetch it again"
        ) from error
    missing = [name for name in names if name not in found]
    if missing:
        raise DataError(
            f"{path} has no member {', '.join(missing)}",
            expected=", ".join(names),
            fix="fetch the binary version, not that for Python or Matlab",
        )
    return np.concatenate([_parse(path, name, found[name]) for name in names])


def _parse(path: Path, name: str, data: bytes) -> Bytes:
    if not data or len(data) % _RECORD:
        raise DataError(
            f"{path}: {name} has {len(data)} bytes",
            expected=f"a multiple of {_RECORD}, and not none",
            fix="it is truncated or corrupt: fetch it again",
        )
    records = np.frombuffer(data, np.uint8).reshape(-1, _RECORD)
    largest = int(records[:, 0].max())
    if largest >= CLASSES:
        raise DataError(
            f"{path}: {name} has a label {largest}", expected=f"labels from 0 to {CLASSES - 1}"
        )
    return records


def _blocks(records: Bytes) -> Iterator[Sample]:
    for number, start in enumerate(range(0, len(records), _BLOCK)):
        part = records[start : start + _BLOCK]
        parts = {"image": part[:, 1:].tobytes(), "label": part[:, 0].tobytes()}
        yield Sample(f"{number:06d}", parts, len(part))
