"""The Criteo 1TB click logs: 24 days of tab-separated text to rows of 160 bytes.

https://ailab.criteo.com/download-criteo-1tb-click-logs-dataset, files day_0.gz to day_23.gz.
Stored: blocks of 65,536 rows with one part `row`, 40 little-endian float32 a row: label, 13
logarithms, 26 buckets (parse.py).  Training takes days 0 to 22; of the last day the first files of
`lines_per_file` lines each are the test split, as the reference cuts it, and the rest validation.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from algoperf_pt.data.preparer import Preparer, RawFile
from algoperf_pt.data.shards import Sample
from algoperf_pt.errors import ConfigError
from workloads.criteo1tb.days import day_rows
from workloads.criteo1tb.parse import CATEGORIES, FIELDS, Rows

DAYS = 24  # of which the last is not for training
ROW = 4 * FIELDS  # bytes
_BLOCK = 1 << 16  # rows a member, 10 MB
_HEADERS = 2048  # bytes of a member around its rows, at the most


class CriteoPreparer(Preparer):
    """A unit is a day, so an interruption costs the work on one shard of one day.

    Args:
        name: of the dataset.
        rows: examples of each split, of which the days must hold just these.
        lines_per_file: lines of the files that the reference cuts a day into.
        test_files: of these files of the last day, how many are the test split.
        buckets: [26] number of buckets of each category.
        largest_label: that may occur; None: any.
    """

    samples_per_shard = 256  # 2.7 GB: a process that trains on all days opens about 300 files
    raw_files = tuple(RawFile(f"day_{day}.gz") for day in range(DAYS))

    def __init__(
        self,
        name: str,
        rows: dict[str, int],
        lines_per_file: int,
        test_files: int,
        buckets: list[int],
        largest_label: int | None = 1,
    ) -> None:
        if len(buckets) != CATEGORIES or min(buckets) < 1:
            raise ConfigError(
                f"prepare.buckets: {buckets}", expected=f"{CATEGORIES} numbers, each at least 1"
            )
        self.name, self.rows, self.largest_label = name, rows, largest_label
        self.test_lines = lines_per_file * test_files
        self.buckets = np.array(buckets, np.uint64)

    def find(self, raw: Path, file: RawFile) -> Path | None:
        """The day as it is downloaded, or unpacked."""
        unpacked = raw / file.name.removesuffix(".gz")
        return super().find(raw, file) or (unpacked if unpacked.is_file() else None)

    def expected_rows(self, split: str) -> int:
        return self.rows[split]

    def estimate_bytes(self, raw: Path) -> int:
        total = sum(self.rows.values())
        return total * ROW + (total // _BLOCK + DAYS + 2) * _HEADERS

    def units(self, split: str, raw: Path) -> Sequence[str]:
        days = range(DAYS - 1) if split == "train" else (DAYS - 1,)
        return [str(day) for day in days]

    def unit_samples(self, split: str, raw: Path, unit: str) -> Iterator[Sample]:
        day = int(unit)
        path = self.find(raw, self.raw_files[day])
        span: dict[str, Any] = {}
        if split == "test":
            span = {"stop": self.test_lines}
        elif split == "validation":
            span = {"first": self.test_lines}
        pieces = day_rows(path, self.buckets, most=self.largest_label, **span)
        for number, block in enumerate(_blocks(pieces)):
            yield Sample(f"{day:02d}-{number:06d}", {"row": block.tobytes()}, len(block))


def _blocks(pieces: Iterator[Rows]) -> Iterator[Rows]:
    """float32 [65536, 40] (the last one shorter) from pieces of any length."""
    block, filled = np.empty((_BLOCK, FIELDS), np.float32), 0
    for piece in pieces:
        while len(piece):
            taken = piece[: _BLOCK - filled]
            block[filled : filled + len(taken)] = taken
            filled, piece = filled + len(taken), piece[len(taken) :]
            if filled == _BLOCK:
                yield block
                filled = 0
    if filled:
        yield block[:filled]
