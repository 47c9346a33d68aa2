"""What does a file of a trial hold?  Read-only and bounded: no links, no devices, no giants, since
who may write into the folder that is watched is not always who watches.
"""

import errno
import json
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # a pipe does not block
_CHUNK = 1 << 20  # bytes


class Unreadable(Exception):
    """Why a file says nothing."""


def read_part(path: str, begin: int, most: int) -> bytes:
    """Up to `most` bytes from `begin` on; b"" where there is no such file.

    Raises:
        Unreadable: a link, no plain file, or no permission.
    """
    with _opened(path) as handle:
        return b"" if handle is None else _read(handle, begin, most)


def read_whole(path: str, most: int) -> bytes:
    """All of a file; b"" where there is none.

    Raises:
        Unreadable: as above, or more than `most` bytes.
    """
    content = read_part(path, 0, most + 1)
    if len(content) > most:
        raise Unreadable(f"more than {most:,} bytes")
    return content


def read_tail(path: str, most: int) -> bytes:
    """The last bytes of a file, at most `most`; b"" where there is none.

    Raises:
        Unreadable: a link, no plain file, or no permission.
    """
    with _opened(path) as handle:
        if handle is None:
            return b""
        return _read(handle, max(0, os.fstat(handle).st_size - most), most)


def read_json(path: str, most: int) -> dict[str, Any]:
    """The object in a file; {} where there is none.

    Raises:
        Unreadable: too large, no JSON, nested too deeply, or no object.
    """
    content = read_whole(path, most)
    if not content:
        return {}
    try:
        found = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise Unreadable("no JSON") from error
    if not isinstance(found, dict):
        raise Unreadable("no JSON object")
    return found


@contextmanager
def _opened(path: str) -> Iterator[int | None]:
    try:
        handle = os.open(path, _FLAGS)
    except (FileNotFoundError, NotADirectoryError):
        yield None
        return
    except OSError as error:
        link = error.errno == errno.ELOOP
        raise Unreadable("a link" if link else os.strerror(error.errno or 0)) from error
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise Unreadable("no plain file")
        yield handle
    finally:
        os.close(handle)


def _read(handle: int, begin: int, most: int) -> bytes:
    parts = []
    try:
        while most and (part := os.pread(handle, min(most, _CHUNK), begin)):
            parts.append(part)
            begin, most = begin + len(part), most - len(part)
    except OSError as error:
        raise Unreadable(os.strerror(error.errno or 0)) from error
    return b"".join(parts)
