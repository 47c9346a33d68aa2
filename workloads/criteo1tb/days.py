"""How is a day of click logs read?  As a stream: unpacked ahead in a thread, cut at line ends,
parsed.

A day is `day_N.gz` as downloaded or `day_N` unpacked, about 45 GB of text; a few megabytes of it
are in memory.  zlib and numpy let go of Python's lock, so unpacking and parsing use two cores.
"""

import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from algoperf_pt.errors import DataError
from workloads.criteo1tb.parse import Bytes, Rows, Where, Words, parse_rows

_PACKED, _TEXT = 1 << 18, 1 << 20  # bytes read at once: the arrays of 1 MiB of text suit a cache
_GZIP = 16 + zlib.MAX_WBITS
_AGAIN = "the file is truncated or corrupt: fetch it again"


def day_rows(
    path: Path, buckets: Words, first: int = 0, stop: int | None = None, most: int | None = None
) -> Iterator[Rows]:
    """float32 [n, 40] pieces of the rows number `first` to `stop` (from 0; None: to the end).

    Args:
        path: the day, packed or not.
        buckets: as `parse_rows` takes them.
        first: lines before it are counted, not parsed.
        stop: line behind the last.
        most: largest label that may occur; None: any.

    Raises:
        DataError: with the file and the line, a flaw; an empty file.
    """
    line = 0
    blocks = _ahead(_whole_lines(path))
    while stop is None or line < stop:
        try:
            text = next(blocks, None)
        except (EOFError, OSError, zlib.error) as error:
            where = f"{path} cannot be unpacked after line {line}"
            raise DataError(f"{where}: {error}", fix=_AGAIN) from error
        if text is None:
            break
        if line < first:
            text, skipped = _behind(text, first - line)
            line += skipped
        if len(text):
            rows = parse_rows(text, buckets, Where(path, line + 1))
            _check_labels(rows, most, Where(path, line + 1))
            line += len(rows)
            yield rows if stop is None or line <= stop else rows[: stop - line]
    blocks.close()
    if line == 0:
        raise DataError(f"{path} holds no line", expected="a day of click logs", fix=_AGAIN)


def _check_labels(rows: Rows, most: int | None, where: Where) -> None:
    if most is not None and rows[:, 0].max() > most:
        row = int(np.argmax(rows[:, 0] > most))
        raise where.flaw(row, f"label is {rows[row, 0]:.0f}", f"a label from 0 to {most}")


def _behind(text: Bytes, count: int) -> tuple[Bytes, int]:
    """(what is behind the first `count` lines, lines left out)."""
    ends = np.flatnonzero(text == ord("\n"))
    if len(ends) <= count:
        return text[:0], len(ends)
    return text[ends[count - 1] + 1 :], count


def _whole_lines(path: Path) -> Iterator[Bytes]:
    """uint8 blocks of whole lines; a last line without its newline gets one."""
    rest = b""
    with path.open("rb") as file:
        for piece in _gunzip(file) if path.suffix == ".gz" else iter(lambda: file.read(_TEXT), b""):
            piece = rest + piece
            end = piece.rfind(b"\n") + 1
            rest = piece[end:]
            if end:
                yield np.frombuffer(piece, np.uint8, end)
    if rest:
        yield np.frombuffer(rest + b"\n", np.uint8)


def _gunzip(file: BinaryIO) -> Iterator[bytes]:
    """The text of a gzip file, which may have several members."""
    engine, packed = zlib.decompressobj(_GZIP), b""
    while packed := packed or file.read(_PACKED):
        if engine.eof:
            engine = zlib.decompressobj(_GZIP)
        yield engine.decompress(packed, _TEXT)
        packed = engine.unconsumed_tail or engine.unused_data
    if not engine.eof:
        raise EOFError("the gzip stream ends too early")


def _ahead(items: Iterator[Any]) -> Iterator[Any]:
    """The same items, the next one made in a thread meanwhile."""
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(next, items, None)
        while (item := coming.result()) is not None:
            coming = pool.submit(next, items, None)
            yield item
