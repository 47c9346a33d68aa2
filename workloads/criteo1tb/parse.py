"""How does text of the click logs become numbers?  Many lines at once, in whole arrays, each flaw
with its line.

A line has 40 fields with a tab between: label, 13 integers, 26 categories; any may be empty.  A row
is as many float32 numbers: the label; ln(max(x, 0) + 1) of the integers; the bucket of each
category, which float32 rounds to a multiple of 2 from 2^24 on and of 4 from 2^25 on: that is the
definition of the feature.  An empty field and -1 count as 0, in a category as "00000000".

Shapes: n lines, [40, n] fields by column, so that every operation runs along the lines.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from algoperf_pt.errors import DataError
from workloads.criteo1tb import fingerprint

INTEGERS, CATEGORIES = 13, 26
FIELDS = 1 + INTEGERS + CATEGORIES

_TAB, _NEWLINE, _MINUS, _SPACE, _LAST_PRINTABLE = 9, 10, 45, 32, 126
_WORD = 8  # bytes: texts are read 8 bytes at a time
_DIGITS = 2 * _WORD  # of an integer, at the most
_SHOWN = 60  # characters of a flawed line in a message

_ZEROS = np.uint64(0x3030303030303030)  # "00000000"
_MINUS_ONE, _TWO_BYTES = np.uint64(0x312D), np.uint64(0xFFFF)  # "-1"
_OVER_NINE = np.uint64(0x7676767676767676)  # added to a byte above 9, it sets the highest bit
_HIGH_BITS = np.uint64(0x8080808080808080)
_KEEP_LAST = np.array([(1 << 64) - (1 << 64 - 8 * k) for k in range(_WORD + 1)], np.uint64)

Bytes = np.ndarray[Any, np.dtype[np.uint8]]
Places = np.ndarray[Any, np.dtype[np.int64]]
Words = np.ndarray[Any, np.dtype[np.uint64]]
Rows = np.ndarray[Any, np.dtype[np.float32]]


@dataclass(frozen=True)
class Where:
    """The file that lines come from, and the number (from 1) of the first of them."""

    path: Any
    line: int = 1

    def flaw(self, row: int, problem: str, expected: str) -> DataError:
        """The error for row number `row` (from 0) of these lines."""
        return DataError(
            f"{self.path}, line {self.line + row}: {problem}",
            expected=expected,
            fix="the file is corrupt or of another release: fetch it again",
        )


def parse_rows(text: Bytes, buckets: Words, where: Where, dtype: Any = np.float32) -> Rows:
    """[n, 40]: label, integers, categories of every line.

    Args:
        text: uint8, whole lines, each with its newline.
        buckets: uint64 [26], number of buckets of each category.
        where: these lines are, for messages.
        dtype: of the rows; float64 would keep the buckets unrounded.

    Raises:
        DataError: the first line that is none, and why.
    """
    ends = _field_ends(text, where)
    starts = np.empty_like(ends)
    starts[0, 0], starts[0, 1:], starts[1:] = 0, ends[-1, :-1] + 1, ends[:-1] + 1
    padded = np.zeros(len(text) + 2 * _DIGITS, np.uint8)
    padded[_DIGITS:-_DIGITS] = text
    fields = _Fields(padded, starts + _DIGITS, ends + _DIGITS, where)
    rows = np.empty(ends.shape, dtype)
    integers = fields.integers(1 + INTEGERS).astype(np.float32)
    rows[0] = integers[0]
    # in float64, because float32 logarithms differ between processors in the last bit
    rows[1 : 1 + INTEGERS] = np.log((integers[1:] + np.float32(1)).astype(np.float64))
    fields.categories(buckets, rows[1 + INTEGERS :])
    return np.ascontiguousarray(rows.T)


def _field_ends(text: Bytes, where: Where) -> Places:
    """int64 [40, n]: where the tab or newline behind each field is."""
    low = np.flatnonzero(text < _SPACE)
    if len(low) % FIELDS == 0 and len(low) and text.max() <= _LAST_PRINTABLE:
        kinds = text[low].reshape(-1, FIELDS)
        if (kinds[:, :-1] == _TAB).all() and (kinds[:, -1] == _NEWLINE).all():
            return np.ascontiguousarray(low.reshape(-1, FIELDS).T)
    raise _flaw(text, where)


def _flaw(text: Bytes, where: Where) -> DataError:
    """What is wrong with the first flawed line."""
    newlines = np.flatnonzero(text == _NEWLINE)
    strange = (text < _SPACE) & (text != _TAB) & (text != _NEWLINE) | (text > _LAST_PRINTABLE)
    tabs = np.searchsorted(np.flatnonzero(text == _TAB), newlines)
    columns = np.diff(tabs, prepend=0) + 1
    uneven = int(np.argmax(np.append(columns != FIELDS, True)))  # row; behind the last: none
    if strange.any():
        place = int(np.argmax(strange))
        row = int(np.searchsorted(newlines, place))
        if row <= uneven:
            start = newlines[row - 1] + 1 if row else 0
            column = int(np.count_nonzero(text[start:place] == _TAB)) + 1
            problem = f"column {column} has the byte 0x{text[place]:02x}"
            return where.flaw(row, problem, "printable ASCII text with tabs between the columns")
    start = newlines[uneven - 1] + 1 if uneven else 0
    line = _shown(text[start : newlines[uneven]])
    problem = f"{columns[uneven]} columns: {line}"
    expected = f"{FIELDS}: label, {INTEGERS} integers, {CATEGORIES} categories, a tab between them"
    return where.flaw(uneven, problem, expected)


def _shown(text: Bytes) -> str:
    whole = text[:_SHOWN].tobytes().decode("ascii", "backslashreplace")
    return repr(whole) + (" ..." if len(text) > _SHOWN else "")


class _Fields:
    """The fields of some lines.

    Args:
        text: uint8, 16 bytes of padding on both sides.
        starts, ends: int64 [40, n], places of each field in it.
        where: for messages.
    """

    def __init__(self, text: Bytes, starts: Places, ends: Places, where: Where) -> None:
        self.text, self.starts, self.ends, self.where = text, starts, ends, where
        # element i is the 8 bytes from i on, whatever i
        self._words = np.ndarray(len(text) - _WORD + 1, np.dtype("<u8"), text, strides=(1,))

    def integers(self, count: int) -> Places:
        """int64 [count, n]: the first columns; 0 where empty or negative (not allowed in column
        0).
        """
        starts, ends = self.starts[:count], self.ends[:count]
        sizes = ends - starts
        digits, good = self._digits(ends, np.minimum(sizes, _WORD))
        values = _number(digits)
        odd = np.flatnonzero(~good | (sizes > _WORD))
        if len(odd):  # a sign, many digits, or no number at all
            values.reshape(-1)[odd] = self._odd_integers(odd, starts.reshape(-1)[odd])
        return values

    def _odd_integers(self, odd: Places, starts: Places) -> Places:
        ends = self.ends.reshape(-1)[odd]
        negative = self.text[starts] == _MINUS
        sizes = ends - starts - negative
        low, good = self._digits(ends, sizes.clip(0, _WORD))
        high, also = self._digits(ends - _WORD, (sizes - _WORD).clip(0, _WORD))
        lines = self.ends.shape[1]
        good &= also & (sizes > 0) & (sizes <= _DIGITS) & ~(negative & (odd < lines))
        if not good.all():
            wrong = odd[~good]
            row, column = min((int(k) % lines, int(k) // lines) for k in wrong)
            what = f"integer {column}" if column else "label"
            expected = f"a whole number of at most {_DIGITS} digits, or nothing"
            raise self.where.flaw(row, f"{what} is {self._shown(column, row)}", expected)
        return np.where(negative, 0, _number(high) * 10**_WORD + _number(low))

    def _digits(self, ends: Places, sizes: Places) -> tuple[Words, Any]:
        """(the last `sizes` <= 8 bytes before `ends` as digits, one a byte and 0 before them;
        whether all are digits).
        """
        digits = self._words[ends - _WORD] ^ _ZEROS
        digits &= _KEEP_LAST[sizes]
        return digits, (digits + _OVER_NINE | digits) & _HIGH_BITS == 0

    def categories(self, buckets: Words, out: Rows) -> None:
        """Fill `out` [26, n] with the bucket of each category."""
        starts = self.starts[1 + INTEGERS :]
        sizes = self.ends[1 + INTEGERS :] - starts
        words = self._words[starts]
        absent = (sizes == 2) & (words & _TWO_BYTES == _MINUS_ONE) | (sizes == 0)
        words[absent], sizes[absent] = _ZEROS, _WORD
        for column, word in enumerate(words):
            suffix = b"%d" % column
            shift = np.uint64(8 * len(suffix))
            tail = np.uint64(int.from_bytes(suffix, "little")) << np.uint64(64) - shift
            found = fingerprint.of_words(word, word >> shift | tail, _WORD + len(suffix))
            out[column] = found - found // buckets[column] * buckets[column]
        for column, row in np.argwhere(sizes != _WORD):  # none in the published files
            out[column, row] = self._hashed(int(column), int(row)) % int(buckets[column])

    def _hashed(self, column: int, row: int) -> int:
        place = 1 + INTEGERS + column, row
        field = self.text[self.starts[place] : self.ends[place]].tobytes() + b"%d" % column
        if len(field) > fingerprint.LONGEST:
            limit = fingerprint.LONGEST - len(b"%d" % column)
            problem = f"category {column + 1} is {self._shown(*place)}"
            raise self.where.flaw(row, problem, f"at most {limit} characters (8 as a rule)")
        return fingerprint.of_string(field)

    def _shown(self, column: int, row: int) -> str:
        return _shown(self.text[self.starts[column, row] : self.ends[column, row]])


def _number(digits: Words) -> Places:
    """int64: 8 digits, one a byte, the first in the lowest, joined in pairs, fours, eights."""
    pairs = digits * np.uint64(2561) >> np.uint64(8) & np.uint64(0x00FF00FF00FF00FF)
    fours = pairs * np.uint64(6553601) >> np.uint64(16) & np.uint64(0x0000FFFF0000FFFF)
    return (fours * np.uint64(42949672960001) >> np.uint64(32)).astype(np.int64)
