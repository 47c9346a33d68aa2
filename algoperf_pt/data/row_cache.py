"""What need not be computed in every evaluation?  Rows that are the same each time: made once, then
read from a file beside the shards.

The file begins with a CRC-32 for each row (0: the row is not there), then come the rows.  A row is
written before its checksum, so one that was cut off by a kill, or by a crash of the machine, is
noticed and made again.  Several processes may write the same rows at once: they write the same
bytes.  The file is sparse: it takes the space of the rows that are there.
"""

import errno
import hashlib
import json
import os
import shutil
import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np

FOLDER = "cache"  # in a prepared dataset's; may be removed at any time
_PAGE = 4096  # bytes: where the rows begin
_CRC = np.dtype("<u4")
_REFUSALS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EFBIG)

Array = np.ndarray[Any, Any]
Indices = np.ndarray[Any, np.dtype[np.int64]]


class RowCache:
    """Rows of one shape.  Without space, or in a folder that may not be written, it stays empty and
    says so once.

    Args:
        folder: of the prepared dataset.
        label: beginning of the file's name, for people.
        identity: all that the rows follow from (data, transform, versions); JSON values.
        rows: [n] int64 ascending: the rows of the split that are covered.
        shape, dtype: of one row.
    """

    def __init__(
        self,
        folder: Path,
        label: str,
        identity: dict[str, Any],
        rows: Indices,
        shape: tuple[int, ...],
        dtype: Any,
    ) -> None:
        digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode())
        digest.update(f"{shape}{np.dtype(dtype).str}".encode() + rows.tobytes())
        self.path = folder / FOLDER / f"{label}-{digest.hexdigest()[:16]}.rows"
        self.rows, self.shape, self.dtype = rows, shape, np.dtype(dtype)
        self._size = int(np.prod(shape)) * self.dtype.itemsize
        table = len(rows) * _CRC.itemsize
        self._start = -(-table // _PAGE) * _PAGE
        self._file: tuple[int, int] | None = None  # process, descriptor
        self._refused = False
        self._check_space()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_file": None}

    def load(self, indices: Indices, out: Array) -> Indices:
        """Read the rows that are there into `out`.

        Args:
            indices: [B] rows of the split, all of them covered.
            out: [B, *shape], C-contiguous.

        Returns:
            The places in `indices` whose rows are not there, and must be computed.
        """
        file = self._open()
        if file is None:
            return np.arange(len(indices))
        places = np.searchsorted(self.rows, indices)
        table = os.pread(file, len(self.rows) * _CRC.itemsize, 0)
        sums = np.frombuffer(table.ljust(len(self.rows) * _CRC.itemsize, b"\0"), _CRC)[places]
        missing = [
            number
            for number, (place, wanted) in enumerate(zip(places.tolist(), sums.tolist()))
            if not (wanted and self._read(file, place, out[number]) == wanted)
        ]
        return np.array(missing, np.int64)

    def store(self, index: int, row: Array) -> None:
        """Keep a computed row; nothing happens where it cannot be written."""
        file = self._open()
        if file is None:
            return
        data = np.ascontiguousarray(row, self.dtype).tobytes()
        place = int(np.searchsorted(self.rows, index))
        try:
            _write(file, data, self._start + place * self._size)
            _write(file, np.array(_crc(data), _CRC).tobytes(), place * _CRC.itemsize)
        except OSError as error:
            self._refuse(error)

    def _read(self, file: int, place: int, row: Array) -> int:
        """CRC-32 of what stands there; 0 if it ends too early."""
        target: Any = memoryview(row)  # type: ignore[arg-type]
        count = os.preadv(file, [target], self._start + place * self._size)
        return _crc(row) if count == self._size else 0

    def _open(self) -> int | None:
        """A descriptor of this process's own; None if the cache is not used."""
        if self._refused:
            return None
        if self._file is None or self._file[0] != os.getpid():
            try:
                self.path.parent.mkdir(exist_ok=True)
                file = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
                os.ftruncate(file, self._start + len(self.rows) * self._size)
            except OSError as error:
                self._refuse(error)
                return None
            self._file = os.getpid(), file
        return self._file[1]

    def _check_space(self) -> None:
        """Room for the rows that are not there yet: better known before the work than within it."""
        if self._open() is None:
            return
        there = self.path.stat().st_blocks * 512
        needed = self._start + len(self.rows) * self._size - there
        free = shutil.disk_usage(self.path.parent).free
        if free < needed:
            self._refused = True
            self._warn(f"{needed / 1e9:.1f} GB are needed, {free / 1e9:.1f} GB free")

    def _refuse(self, error: OSError) -> None:
        if error.errno not in _REFUSALS:
            raise error
        self._refused = True
        self._warn(error.strerror or str(error))

    def _warn(self, reason: str) -> None:
        warnings.warn(
            f"evaluated rows are not kept in {self.path.parent}: {reason}; they are computed anew "
            "in every evaluation (data.options.eval_cache=false says so without this warning)",
            stacklevel=2,
        )


def _crc(data: Any) -> int:
    """Of the bytes; never 0, which means that a row is not there."""
    return zlib.crc32(data) or 1


def _write(file: int, data: bytes, offset: int) -> None:
    """All of it, however often it takes."""
    rest = memoryview(data)
    while len(rest):
        done = os.pwrite(file, rest, offset)
        rest, offset = rest[done:], offset + done
