"""What do the evaluation rows of a trial's folder say?  For those who look from outside."""

import csv
import math
from collections.abc import Iterable
from pathlib import Path

from algoperf_pt.records import EVAL_ROWS


def read_eval_rows(folder: Path) -> list[dict[str, str]]:
    """The rows so far, as text by column.

    Raises:
        OSError: there is no such file, or it cannot be read.
    """
    with (folder / EVAL_ROWS).open(newline="") as file:
        return list(csv.DictReader(file))


def best(cells: Iterable[str | None], direction: str) -> float | None:
    """The best of the numbers; cells that are empty or no finite number do not count.

    Args:
        cells: of a column.
        direction: "max" or "min" is better.
    """
    numbers = [float(cell) for cell in cells if cell]
    finite = [number for number in numbers if math.isfinite(number)]
    if not finite:
        return None
    return max(finite) if direction == "max" else min(finite)
