"""How does a table become text on a terminal and a csv file?"""

import csv
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import isinf, isnan
from pathlib import Path

Cell = str | int | float | None


@dataclass(frozen=True)
class Table:
    """Rows under named columns, with a title and notes that say how to read them.

    Attributes:
        name: of the csv file, without its suffix.
        digits: decimals of fractional numbers in the text; the csv has them all.
        heads: of the columns in the text, if they are shorter there.
    """

    name: str
    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    notes: Sequence[str] = field(default=())
    digits: int = 4
    heads: Sequence[str] = field(default=())

    def text(self) -> str:
        """The table for a terminal: words to the left, numbers to the right."""
        cells = [[shown(cell, self.digits) for cell in row] for row in self.rows]
        lines = [[shown(head, 0) for head in self.heads or self.columns], *cells]
        widths = [max(len(line[i]) for line in lines) for i in range(len(self.columns))]
        words = [_is_word(row[i] for row in self.rows) for i in range(len(self.columns))]
        body = [
            "  ".join(c.ljust(w) if left else c.rjust(w) for c, w, left in zip(line, widths, words))
            for line in lines
        ]
        return "\n".join([self.title, *(line.rstrip() for line in body), *self.notes]) + "\n"

    def write(self, folder: Path) -> Path:
        """Write folder/name.csv, full precision; inf as `inf`, an unknown number as nothing."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{self.name}.csv"
        with path.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(self.columns)
            writer.writerows([_exact(cell) for cell in row] for row in self.rows)
        return path


def shown(cell: Cell, digits: int) -> str:
    """A cell as text: `-` where nothing is known, no control characters."""
    if cell is None or (isinstance(cell, float) and isnan(cell)):
        return "-"
    if isinstance(cell, float) and not isinf(cell):
        return f"{cell:.{digits}f}"
    return "".join(c if c.isprintable() else "\ufffd" for c in str(cell))


def _exact(cell: Cell) -> str:
    if cell is None or (isinstance(cell, float) and isnan(cell)):
        return ""
    return repr(float(cell)) if isinstance(cell, float) else str(cell)


def _is_word(column: object) -> bool:
    return any(isinstance(cell, str) for cell in column)  # type: ignore[attr-defined]
