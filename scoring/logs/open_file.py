"""What does a file of the logs hold?  Logs come from strangers: no links, no devices, no giants."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from scoring.errors import LogsError


def read_file(path: Path | str, most: int) -> bytes | None:
    """The bytes of a plain file; None if there is none.

    A link is not followed, so that a file of the logs cannot show one from elsewhere; a pipe does
    not block.

    Raises:
        LogsError: a link, no plain file, unreadable, or larger than `most` bytes.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise LogsError(f"{path} is a link; put the file itself there") from error
        raise LogsError(f"{path}: {error.strerror}") from error
    try:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode):
            raise LogsError(f"{path} is no plain file")
        if found.st_size > most:
            raise LogsError(f"{path} has {found.st_size:,} bytes; at most {most:,} are read")
        return _all(handle, most)
    except OSError as error:
        raise LogsError(f"{path}: {error.strerror}") from error
    finally:
        os.close(handle)


def _all(handle: int, most: int) -> bytes:
    """Up to `most` bytes: a file may grow while it is read."""
    parts, left = [], most
    while left and (part := os.read(handle, min(left, 1 << 20))):
        parts.append(part)
        left -= len(part)
    return b"".join(parts)
