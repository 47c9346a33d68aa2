"""What do the evaluation rows say so far?  Read as they grow: only new bytes are looked at, unless
the file was cut or written anew.
"""

import csv
import math
from collections.abc import Iterator
from dataclasses import dataclass, field

from algoperf_pt.spec import SPLITS
from algoperf_pt.watch.files import Unreadable, read_part
from algoperf_pt.watch.find import Stamp

MOST_BYTES = 8 << 20  # of a file; a long trial has 0.1 MB
MOST_POINTS = 2000  # that are kept: every second one goes when there are more
_MOST_LINE = 1 << 16  # bytes
_FOREVER = 1e12  # s: such a time is none
_MOST_CELLS = 1000  # of a line; ours have about 15


@dataclass(frozen=True)
class Point:
    """One evaluation: timed seconds, steps done, the metric by split (nan: not there)."""

    time: float
    step: float
    train: float
    validation: float
    test: float


@dataclass
class Rows:
    """The rows of one file, line by line.

    Args:
        metric: the target metric.
        larger: whether larger is better.
    """

    metric: str
    larger: bool
    points: list[Point] = field(default_factory=list)
    count: int = 0  # evaluations, also those whose points are not kept
    best: Point | None = None  # of validation
    wall: float = math.nan  # total_duration of the last row, s
    note: str = ""
    _columns: list[str] = field(default_factory=list)
    _stride: int = 1

    def add(self, line: bytes) -> None:
        """The header, or one row."""
        try:
            cells = next(csv.reader([line[:_MOST_LINE].decode(errors="replace")]), [])
        except csv.Error:
            cells = []
        if not self._columns:
            self._columns = cells[:_MOST_CELLS]
            return
        row = dict(zip(self._columns, cells))
        time = _number(row.get("accumulated_submission_time", row.get("score", "")))
        if not 0 <= time < _FOREVER:
            self.note = "evaluations: a row without a time is left out"
            return
        splits = (_number(row.get(f"{split}/{self.metric}", "")) for split in SPLITS)
        self.wall = _number(row.get("total_duration", ""))
        self._keep(Point(time, _number(row.get("global_step", "")), *splits))

    def values(self, split: str) -> Iterator[tuple[float, float]]:
        """(timed seconds, metric) where there is a finite one."""
        for point in self.points:
            value: float = getattr(point, split)
            if math.isfinite(value):
                yield point.time, value

    def _keep(self, point: Point) -> None:
        self.count += 1
        if math.isfinite(point.validation) and self._is_best(point.validation):
            self.best = point
        if self.points and self.count % self._stride:
            self.points[-1] = point  # the newest one is always there
            return
        self.points.append(point)
        if len(self.points) > MOST_POINTS:
            self._stride *= 2
            del self.points[1:-1:2]

    def _is_best(self, value: float) -> bool:
        if self.best is None:
            return True
        return value > self.best.validation if self.larger else value < self.best.validation


class RowsFile:
    """A file of rows that grows.

    Args:
        path: of the file.
        metric: the target metric.
        larger: whether larger is better.
    """

    def __init__(self, path: str, metric: str, larger: bool) -> None:
        self._path, self._about = path, (metric, larger)
        self._stamp: Stamp | None = None
        self._start_anew()

    def update(self, stamp: Stamp | None) -> None:
        """Read what is new since the last look, if `stamp` says that there is anything."""
        if stamp == self._stamp:
            return
        _, size, inode = stamp or (0, 0, -1)
        try:
            if self._stamp is None or inode != self._stamp[2] or not self._goes_on(size):
                self._start_anew()
            self._stamp = stamp
            self._read()
        except Unreadable as error:
            self.rows.note = f"evaluations: {error}"

    def _read(self) -> None:
        content = read_part(self._path, self._begin, MOST_BYTES - self._begin)
        whole = content[: content.rfind(b"\n") + 1]  # half a row will be whole next time
        lines = whole.splitlines(keepends=True)
        for line in lines:
            self.rows.add(line)
        if lines:
            self._last = lines[-1]
        self._begin += len(whole)
        if self._begin + len(content) - len(whole) >= MOST_BYTES:
            self.rows.note = f"evaluations: what lies behind {MOST_BYTES >> 20} MiB is not read"

    def _goes_on(self, size: int) -> bool:
        """A resumed trial cuts the file and goes on: its size alone does not tell."""
        if size < self._begin:
            return False
        begin = self._begin - len(self._last)
        return read_part(self._path, begin, len(self._last)) == self._last

    def _start_anew(self) -> None:
        self.rows = Rows(*self._about)
        self._begin = 0  # of the bytes that were not read yet
        self._last = b""  # the line before


def _number(cell: str) -> float:
    try:
        return float(cell[:64])
    except ValueError:
        return math.nan
