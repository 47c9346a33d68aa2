"""Where do the pictures lie in the tar files?  Listed by seeking, and read from there: nothing is
unpacked.
"""

import gzip
import os
import shutil
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from algoperf_pt.errors import DataError

_AGAIN = "it is truncated or corrupt: fetch it again"


@dataclass(frozen=True)
class Member:
    """A file in a tar file (or in one that lies in it).

    Args:
        name: with its folder, as the tar file has it.
        offset, size: of its content, in bytes from the start of the outermost file.
    """

    name: str
    offset: int
    size: int

    @property
    def file(self) -> str:
        """The name without its folder."""
        return PurePosixPath(self.name).name

    @property
    def stem(self) -> str:
        """The same without its extension."""
        return PurePosixPath(self.name).stem

    @property
    def folder(self) -> str:
        """Name of the folder in which it lies."""
        return PurePosixPath(self.name).parent.name


def members(path: Path, inside: Member | None = None, known_as: str = "") -> list[Member]:
    """The regular files of a tar file, in its order; macOS's companions (._x) left out.

    Args:
        path: an uncompressed tar file.
        inside: list this tar file, which lies in it, instead.
        known_as: name of the raw file in messages, where `path` is a copy of it.

    Raises:
        DataError: it is no tar file, or ends too early.
    """
    what = f"{path}, {inside.name}" if inside else known_as or str(path)
    start = inside.offset if inside else 0
    try:
        with path.open("rb") as file:
            end = start + inside.size if inside else file.seek(0, os.SEEK_END)
            file.seek(start)
            with tarfile.open(fileobj=file, mode="r:") as archive:
                found = list(_regular(archive, end))
    except (EOFError, OSError, tarfile.TarError) as error:
        raise DataError(f"{what} cannot be read: {error}", fix=_AGAIN) from error
    for member in found:
        if member.offset + member.size > end:
            raise DataError(f"{what} ends within {member.name}", fix=_AGAIN)
    return [member for member in found if not member.file.startswith("._")]


def _regular(archive: tarfile.TarFile, end: int) -> Iterator[Member]:
    """Up to the end of an inner tar file; the blocks of zeros at its end stop it earlier."""
    for entry in archive:
        if entry.offset >= end:
            return
        if entry.isreg():
            yield Member(entry.name, entry.offset_data, entry.size)


def read(path: Path, wanted: list[Member]) -> Iterator[tuple[Member, bytes]]:
    """The content of each, in the given order.

    Raises:
        DataError: the file ends too early.
    """
    with path.open("rb") as file:
        for member in wanted:
            file.seek(member.offset)
            data = file.read(member.size)
            if len(data) != member.size:
                raise DataError(f"{path} ends within {member.name}", fix=_AGAIN)
            yield member, data


def unpack_gzip(packed: Path, plain: Path) -> None:
    """Write `plain`, which can be read by seeking; nothing is done if it is there.

    Raises:
        DataError: `packed` is truncated or corrupt.
    """
    if plain.exists():
        return
    partial = plain.with_name(plain.name + ".partial")
    try:
        with gzip.open(packed, "rb") as source, partial.open("wb") as target:
            shutil.copyfileobj(source, target, 1 << 20)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{packed} cannot be unpacked: {error}", fix=_AGAIN) from error
    partial.replace(plain)
