r"""Tables as LaTeX, for booktabs and xcolor: best in bold, what does not count in grey with a mark.

Every table is a `tabular` with its notes in a parbox, to be put into a `table` with a caption of
one's own.
"""

from __future__ import annotations

from scoring.report.tables import Cell, Table

_NAMES = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "∞": r"$\infty$",
    "–": "--",
    "−": "$-$",
    "…": r"\dots{}",
    "×": r"$\times$",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
}
_SPECIAL = "&%$#_{}"


def escaped(text: str) -> str:
    """Text that LaTeX sets as it is, in one line."""
    return "".join(_NAMES.get(c, f"\\{c}" if c in _SPECIAL else c) for c in " ".join(text.split()))


def latex(table: Table) -> str:
    """One table."""
    columns = "l" + "r" * (len(table.header) - 1)
    tall = len(table.header) > 8
    header = [_head(text, tall and i > 0) for i, text in enumerate(table.header)]
    lines = [
        f"% {' '.join(table.title.split())}; needs \\usepackage{{booktabs,xcolor,graphicx}}",
        rf"\begin{{tabular}}{{@{{}}{columns}@{{}}}}",
        r"\toprule",
        " & ".join(header) + r" \\",
        r"\midrule",
        *(" & ".join(_cell(cell) for cell in row) + r" \\" for row in table.rows),
        r"\bottomrule",
        r"\end{tabular}",
    ]
    notes = r" \\ ".join(_note(note, table) for note in table.notes)
    if notes:
        lines += ["", rf"\smallskip\noindent\parbox{{\linewidth}}{{\footnotesize {notes}}}"]
    return "\n".join(lines) + "\n"


def _head(text: str, tall: bool) -> str:
    return rf"\rotatebox{{90}}{{{escaped(text)}}}" if tall else escaped(text)


def _note(note: str, table: Table) -> str:
    """A note; one that explains a mark begins with it."""
    for mark in table.marks:
        if note.startswith(f"{mark.symbol} "):
            return rf"{mark.latex}{{}} {escaped(note[len(mark.symbol) + 1 :])}"
    return escaped(note)


def _cell(cell: Cell) -> str:
    text = escaped(cell.text)
    if cell.mark is not None:
        symbol = cell.mark.latex
        shown = symbol if cell.mark.alone else rf"{text}\textsuperscript{{{symbol}}}"
        return rf"\textcolor{{gray}}{{{shown}}}"
    return rf"\textbf{{{text}}}" if cell.best else text
