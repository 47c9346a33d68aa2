"""Tables as Markdown: what GitHub, a notebook and a terminal show alike."""

from __future__ import annotations

import re

from scoring.report.tables import Cell, Table


def escaped(text: str) -> str:
    """Text that Markdown shows as it is, in one line."""
    flat = " ".join(text.split())
    safe = re.sub(r"[\\`*\[\]|#~]|(?<!\w)_|_(?!\w)", lambda sign: f"\\{sign[0]}", flat)
    return safe.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def markdown(table: Table) -> str:
    """One table with its title, and its notes below it."""
    rows = [[_cell(cell) for cell in row] for row in table.rows]
    header = [escaped(text) for text in table.header]
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
    rule = ["-" * (width - 1) + (":" if i else "-") for i, width in enumerate(widths)]
    lines = [_line(row, widths) for row in [header, rule, *rows]]
    notes = [f"- {escaped(note)}" for note in table.notes]
    return "\n".join([f"## {escaped(table.title)}", "", *lines, "", *notes]).rstrip() + "\n"


def _line(row: list[str], widths: list[int]) -> str:
    first, rest = row[0].ljust(widths[0]), [c.rjust(w) for c, w in zip(row[1:], widths[1:])]
    return "| " + " | ".join([first, *rest]) + " |"


def _cell(cell: Cell) -> str:
    text = escaped(cell.text)
    if cell.mark is not None:
        text = escaped(cell.mark.symbol) if cell.mark.alone else text + escaped(cell.mark.symbol)
    return f"**{text}**" if cell.best else text
