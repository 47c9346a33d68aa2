"""How does a training process read rows?  By offset from the tar shards: no pipeline, no pickle,
any order.
"""

import os
import tarfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from algoperf_pt.data.index import DataIndex, Part
from algoperf_pt.errors import DataError

# Rows closer than this are read in one go and the bytes between them dropped: less work than
# another call, and a rank that takes every eighth row of a stretch reads the stretch once.
_GAP = 1 << 13  # bytes
_SPAN = 1 << 26  # bytes read at once, at the most

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
        self._maps: dict[int, Bytes] = {}

    def __len__(self) -> int:
        return int(self._ends[-1]) if len(self._ends) else 0

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_files": {}, "_maps": {}}

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
        """uint8 [n, width]: one part of rows that all have one width; rows near one another are
        read at once.
        """
        part = self._parts[ext]
        members, within = self._locate(indices)
        widths = part.size[members] // self._rows[members]
        if len(indices) and (widths != widths[0]).any():
            raise DataError(
                f"part {ext!r} has rows of different widths", expected="ShardReader.read for these"
            )
        width = int(widths[0]) if len(widths) else 0
        order = None if _sorted(indices) else np.argsort(indices, kind="stable")
        if order is not None:
            members, within = members[order], within[order]
        record = np.dtype((np.void, max(width, 1)))  # one row: copied whole
        out = np.empty(len(indices), record)
        for first, last in _runs(members, within, width):
            start, size = int(within[first]), int(within[last - 1] - within[first] + 1)
            member = members[first]
            offset = int(part.offset[member]) + start * width
            data = self._pread(int(part.shard[member]), offset, size * width)
            rows = np.frombuffer(data, record)
            out[first:last] = rows if size == last - first else rows[within[first:last] - start]
        if order is not None:
            unsorted = np.empty_like(out)
            unsorted[order] = out
            out = unsorted
        return out.view(np.uint8).reshape(len(indices), max(width, 1))[:, :width]

    def read_spans(self, ext: str, starts: Indices, counts: Indices, dtype: Any) -> Any:
        """Stretches of a ragged part, behind one another, as an array of `dtype`.

        Args:
            ext: the part; its records are seen as one long array over all members.
            starts: [n] first element of each stretch; a stretch lies within one member.
            counts: [n] elements of each.
            dtype: of an element.
        """
        part, item = self._parts[ext], np.dtype(dtype).itemsize
        ends = np.cumsum(part.size // item)
        members = np.searchsorted(ends, starts, side="right").clip(max=len(ends) - 1)
        first = ends[members] - part.size[members] // item  # element of each member
        places = part.offset[members] // item + starts - first
        shards, to = part.shard[members], np.cumsum(counts) - counts
        out = np.empty(int(counts.sum()), dtype)
        for shard in np.unique(shards):
            here = shards == shard
            source, count = self._map(int(shard)).view(dtype), counts[here]
            out[ranges(to[here], count)] = source[ranges(places[here], count)]
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
            name = self._key(shard, int(part.offset[member]))
            raise DataError(
                f"{self._paths[shard]}: part {ext!r} of member {member} ({name}) is corrupt",
                expected="the checksum that stands in index.npz",
                fix="algoperf-prepare NAME --verify lists every damaged shard; --force mends",
            )
        return data

    def _key(self, shard: int, offset: int) -> str:
        """Name of the part that begins there, from its header in the tar file."""
        try:
            header = self._pread(shard, offset - tarfile.BLOCKSIZE, tarfile.BLOCKSIZE)
            return tarfile.TarInfo.frombuf(header, "utf-8", "replace").name
        except (DataError, tarfile.TarError):
            return "its header as well"

    def _pread(self, shard: int, offset: int, size: int) -> bytes:
        data = os.pread(self._open(shard), size, offset)
        if len(data) != size:
            raise DataError(
                f"{self._paths[shard]} ends after {len(data)} of {size} bytes at offset {offset}",
                expected="the size that stands in index.json",
                fix="prepare the dataset again",
            )
        return data

    def _map(self, shard: int) -> Bytes:
        """A shard as memory that all processes share."""
        if shard not in self._maps:
            try:
                self._maps[shard] = np.memmap(self._paths[shard], np.uint8, mode="r")
            except (OSError, ValueError) as error:
                raise DataError(f"{self._paths[shard]} cannot be mapped: {error}") from error
        return self._maps[shard]

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


def ranges(starts: Indices, counts: Indices) -> Indices:
    """starts[0], starts[0] + 1, ... (counts[0] of them), then starts[1], ..."""
    before = np.cumsum(counts) - counts
    found: Indices = np.repeat(starts - before, counts) + np.arange(int(counts.sum()))
    return found


def _sorted(indices: Indices) -> bool:
    return bool((np.diff(indices) >= 0).all())


def _runs(members: Indices, within: Indices, width: int) -> list[tuple[int, int]]:
    """[first, last) of rows that are read at once: of one member, no more than `_GAP` bytes apart,
    and no more than `_SPAN` bytes together.
    """
    if not len(members):
        return []
    most = max(1, _SPAN // max(width, 1))  # rows
    apart = (np.diff(members) != 0) | (np.diff(within) * width > _GAP + width)
    apart |= np.diff(within // most) != 0
    edges = [0, *(np.flatnonzero(apart) + 1).tolist(), len(members)]
    return list(zip(edges[:-1], edges[1:]))
