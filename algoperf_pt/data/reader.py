"""How does a training process read rows?  By offset from the tar shards: no pipeline, no pickle,
any order.
"""

import os
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from algoperf_pt.data.index import DataIndex, Part
from algoperf_pt.errors import DataError

Bytes = np.ndarray[Any, np.dtype[np.uint8]]
Indices = np.ndarray[Any, np.dtype[np.int64]]


class ShardReader:
    """Rows of one split.  Opens files lazily and once in each process, so it can be forked and
    pickled.

    Args:
        index: of the dataset.
        split: which split.
    """

    def __init__(self, index: DataIndex, split: str) -> None:
        self._paths = index.shards(split)
        self._rows, self._parts = index.members(split)
        self._ends = np.cumsum(self._rows)
        self._files: dict[tuple[int, int], int] = {}

    def __len__(self) -> int:
        return int(self._ends[-1]) if len(self._ends) else 0

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_files": {}}

    def read(self, indices: Indices) -> list[dict[str, bytes]]:
        """All parts of the rows' members, checksums compared; for members of one row each (images,
        audio, text).
        """
        members, _ = self._locate(indices)
        return [
            {ext: self._member(ext, part, int(m)) for ext, part in self._parts.items()}
            for m in members
        ]

    def read_rows(self, indices: Indices, ext: str) -> Bytes:
        """uint8 [n, width]: one part of rows that all have one width; neighbouring rows are read at
        once.
        """
        part = self._parts[ext]
        members, within = self._locate(indices)
        widths = part.size[members] // self._rows[members]
        if len(np.unique(widths)) > 1:
            raise DataError(
                f"part {ext!r} has rows of different widths", expected="ShardReader.read for these"
            )
        width = int(widths[0]) if len(widths) else 0
        out = np.empty((len(indices), width), np.uint8)
        starts = part.offset[members] + within * width
        order = np.lexsort((starts, part.shard[members]))
        shards, starts = part.shard[members][order], starts[order]
        for first, last in _runs(shards, starts, width):
            size = int(starts[last - 1] - starts[first]) + width
            data = self._pread(int(shards[first]), int(starts[first]), size)
            rows = np.frombuffer(data, np.uint8)
            relative = (starts[first:last] - starts[first])[:, None] + np.arange(width)
            out[order[first:last]] = rows[relative]
        return out

    def all_rows(self, ext: str) -> Bytes:
        """uint8 [rows, width]: one part of the whole split, checksums compared; for splits that fit
        in memory.
        """
        part = self._parts[ext]
        data = b"".join(self._member(ext, part, member) for member in range(len(self._rows)))
        return np.frombuffer(bytearray(data), np.uint8).reshape(len(self), -1)

    def _locate(self, indices: Indices) -> tuple[Indices, Indices]:
        """(member, row within it) of each row."""
        if len(indices) and not (0 <= indices.min() and indices.max() < len(self)):
            raise DataError(
                f"row {indices.max()} was asked for", expected=f"rows from 0 to {len(self) - 1}"
            )
        members = np.searchsorted(self._ends, indices, side="right")
        return members, indices - (self._ends[members] - self._rows[members])

    def _member(self, ext: str, part: Part, member: int) -> bytes:
        shard = int(part.shard[member])
        data = self._pread(shard, int(part.offset[member]), int(part.size[member]))
        if zlib.crc32(data) != part.crc32[member]:
            raise DataError(
                f"{self._paths[shard]}: part {ext!r} of member {member} is corrupt",
                expected="the checksum that stands in index.npz",
                fix="algoperf-prepare NAME --verify lists every damaged shard; --force mends",
            )
        return data

    def _pread(self, shard: int, offset: int, size: int) -> bytes:
        data = os.pread(self._open(shard), size, offset)
        if len(data) != size:
            raise DataError(
                f"{self._paths[shard]} ends after {len(data)} of {size} bytes at offset {offset}",
                expected="the size that stands in index.json",
                fix="prepare the dataset again",
            )
        return data

    def _open(self, shard: int) -> int:
        """A descriptor of this process's own."""
        key = (os.getpid(), shard)
        if key not in self._files:
            path: Path = self._paths[shard]
            try:
                self._files[key] = os.open(path, os.O_RDONLY)
            except OSError as error:
                raise DataError(f"{path} cannot be opened: {error.strerror}") from error
        return self._files[key]


def _runs(shards: Indices, starts: Indices, width: int) -> list[tuple[int, int]]:
    """[first, last) of rows that lie directly behind one another (or are the same) in one file."""
    if not len(starts):
        return []
    apart = (np.diff(starts) > width) | (np.diff(shards) != 0)
    edges = [0, *(np.flatnonzero(apart) + 1).tolist(), len(starts)]
    return list(zip(edges[:-1], edges[1:]))
