"""How are samples written?  As webdataset tar shards with the same bytes each time, and the places
of their parts.
"""

import os
import tarfile
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import webdataset as wds

from algoperf_pt.data.index import sha256
from algoperf_pt.errors import DataError

_MODE = 0o644
_MTIME = 0  # equal bytes whenever a shard is written; whole, or tar would need a second header

Ints = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True)
class Sample:
    """One member of a shard.

    Args:
        key: unique within the split, without dots.
        parts: extension -> bytes; every sample of a split has the same extensions.
        rows: how many examples it holds; if several, each part is a block of that many records of
            equal width.
        ragged: extensions of parts that are records of different widths, behind one another; where
            each begins must follow from another part (its length, say).
    """

    key: str
    parts: dict[str, bytes]
    rows: int = 1
    ragged: tuple[str, ...] = ()


@dataclass(frozen=True)
class Shard:
    """What was written: its line in index.json and its arrays for index.npz."""

    entry: dict[str, Any]
    arrays: dict[str, Ints]


def write_shard(path: Path, samples: Iterable[Sample]) -> Shard:
    """Write one tar file under a temporary name, then rename it; returns what the index needs.

    Raises:
        DataError: a sample whose parts do not fit its number of rows, or the others' extensions.
    """
    partial = path.with_name(f".{path.name}.partial")
    try:
        rows, extensions = _write(partial, samples)
    except OSError:
        partial.unlink(missing_ok=True)  # a full disk gets its space back
        raise
    arrays = {"rows": np.array(rows, np.int64), **_places(partial, extensions, len(rows))}
    entry = {
        "name": path.name,
        "bytes": partial.stat().st_size,
        "sha256": sha256(partial),
        "members": len(rows),
        "rows": int(sum(rows)),
        "parts": extensions,
    }
    partial.replace(path)
    return Shard(entry, arrays)


def _write(path: Path, samples: Iterable[Sample]) -> tuple[list[int], list[str]]:
    """(rows of each member, extensions of its parts)."""
    rows: list[int] = []
    extensions: list[str] = []
    with path.open("wb") as stream:
        options = dict(user="", group="", mode=_MODE, mtime=_MTIME, encoder=False)
        with wds.TarWriter(stream, **options) as writer:
            for sample in samples:
                extensions = extensions or sorted(sample.parts)
                _check(sample, extensions)
                writer.write({"__key__": sample.key, **sample.parts})
                rows.append(sample.rows)
        stream.flush()
        os.fsync(stream.fileno())
    return rows, extensions


def _check(sample: Sample, extensions: list[str]) -> None:
    if sorted(sample.parts) != extensions:
        raise DataError(
            f"sample {sample.key!r} has parts {sorted(sample.parts)}", expected=str(extensions)
        )
    for ext, data in sample.parts.items():
        if sample.rows < 1 or (ext not in sample.ragged and len(data) % sample.rows):
            raise DataError(
                f"part {ext!r} of {sample.key!r} has {len(data)} bytes for {sample.rows} rows",
                expected="a multiple of the number of rows",
            )


def _places(path: Path, extensions: list[str], members: int) -> dict[str, Ints]:
    """Offset, size and CRC-32 of every part, from the tar file as it was written."""
    found: dict[str, list[tuple[int, int, int]]] = {ext: [] for ext in extensions}
    with tarfile.open(path) as tar, path.open("rb") as raw:
        for member in tar:
            raw.seek(member.offset_data)
            crc = zlib.crc32(raw.read(member.size))
            found[member.name.partition(".")[2]].append((member.offset_data, member.size, crc))
    arrays: dict[str, Ints] = {}
    for ext, places in found.items():
        table = np.array(places, np.int64).reshape(members, 3)
        arrays |= {
            f"{ext}/offset": table[:, 0],
            f"{ext}/size": table[:, 1],
            f"{ext}/crc32": table[:, 2],
        }
    return arrays
