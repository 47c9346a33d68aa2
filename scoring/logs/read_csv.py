"""Which numbers does a file of evaluations hold?  Every cell is a number or empty, or the file is
refused: a broken file must not change a score unseen.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scoring.errors import LogsError

Floats = NDArray[np.float64]

MOST_BYTES = 8 << 20  # the largest public file has 0.05 MB; bounds memory as well
MOST_COLUMNS = 1000  # AlgoPerf's have up to 25
MOST_CELLS = 500_000  # the largest public file has 2,200; each takes 100 bytes at first
MOST_LETTERS = 64  # of a number; a float64 needs 24
_NUMBERS = b"0123456789.,+-eE\nnaif"  # "nan", "inf"


@dataclass(frozen=True)
class Table:
    """Columns of the same length [rows]; `notes` say what was odd about the file."""

    columns: dict[str, Floats]
    notes: tuple[str, ...] = ()


def read_table(content: bytes) -> Table:
    """The columns of a csv file; empty cells are nan.

    A last line without an end is left out with a note: whoever wrote it was killed, and its last
    number may be cut.

    Raises:
        LogsError: nothing in it, no number in a cell, rows of different lengths, names that come
            twice, too many columns or cells, wrong quotes; the text names the line.
    """
    content = content.replace(b"\r\n", b"\n")
    head, _, body = content.partition(b"\n")
    if not head.strip():
        raise LogsError("the file is empty" if not content.strip() else "the first line is empty")
    names = _names(head)
    cells = body.count(b",") + body.count(b"\n")
    if cells > MOST_CELLS:
        raise LogsError(f"{cells:,} cells; at most {MOST_CELLS:,} are read")
    whole, cut = (body, b"") if body.endswith(b"\n") else _split_last(body)
    notes = ("the last line has no end and was left out",) if cut.strip() else ()
    values = _fast(whole, len(names))
    if values is None:
        values = _careful(whole, len(names))
    return Table(dict(zip(names, np.ascontiguousarray(values.T), strict=True)), notes)


def _names(head: bytes) -> list[str]:
    if head.count(b",") >= MOST_COLUMNS:
        raise LogsError(f"{head.count(b',') + 1:,} columns; at most {MOST_COLUMNS} are read")
    try:
        names = next(csv.reader([head.decode("utf-8")], strict=True))
    except (csv.Error, UnicodeDecodeError, StopIteration) as error:
        raise LogsError(f"line 1 is no header: {error}") from error
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise LogsError(f"column {twice[0]!r:.80} is there twice")
    return names


def _split_last(body: bytes) -> tuple[bytes, bytes]:
    end = body.rfind(b"\n") + 1
    return body[:end], body[end:]


def _fast(body: bytes, width: int) -> Floats | None:
    """Rows of plain numbers [rows, width]; None if anything else is in them."""
    if not body:
        return np.empty((0, width))
    if body.translate(None, _NUMBERS):
        return None
    lines = body[:-1].split(b"\n")
    if any(line.count(b",") != width - 1 for line in lines):
        return None
    cells = b",".join(lines).split(b",")
    if max(map(len, cells)) > MOST_LETTERS:
        return None
    try:
        return np.array(list(map(float, cells))).reshape(len(lines), width)
    except ValueError:
        return None


def _careful(body: bytes, width: int) -> Floats:
    """The same for any csv, cell by cell."""
    try:
        reader = csv.reader(io.StringIO(body.decode("utf-8"), newline=""), strict=True)
        rows = [(reader.line_num + 1, row) for row in reader if row]
    except (csv.Error, UnicodeDecodeError) as error:
        raise LogsError(f"no csv: {error}") from error
    for line, row in rows:
        if len(row) != width:
            raise LogsError(f"line {line} has {len(row)} cells; the header has {width}")
    values = [[_number(cell, line) for cell in row] for line, row in rows]
    return np.array(values, dtype=np.float64).reshape(len(rows), width)


def _number(cell: str, line: int) -> float:
    text = cell.strip()
    if not text:
        return np.nan
    plain = len(text) <= MOST_LETTERS and text.isascii() and "_" not in text
    try:
        return float(text if plain else "no number")
    except ValueError:
        raise LogsError(f"line {line}: {text[:80]!r} is no number") from None
