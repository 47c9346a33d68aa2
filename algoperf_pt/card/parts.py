"""How do numbers and words become HTML?  Everything that comes from files is cleaned and
escaped.
"""

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from algoperf_pt.watch.clean import clean

# Okabe and Ito's colours: told apart with any colour vision; the table beside names each.
_COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#f0e442", "#777777")
_WIDTH, _HEIGHT = 820, 26
_MOST = 400  # letters of a value


def text(value: Any, most: int = _MOST) -> str:
    """A value from a file, harmless."""
    return escape(clean(value, most), quote=True)


def table(rows: Iterable[Sequence[Any]], head: Sequence[str] = ()) -> str:
    """Cells are values; floats and whole numbers stand at the right."""
    top = f"<tr>{''.join(f'<th>{text(cell)}</th>' for cell in head)}</tr>" if head else ""
    body = "".join(f"<tr>{''.join(_cell(cell) for cell in row)}</tr>" for row in rows)
    return f"<table>{top}{body}</table>"


def section(title: str, *parts: str) -> str:
    """A heading and what stands below it; nothing where there is nothing to show."""
    inner = "".join(parts)
    return f"<section><h2>{text(title)}</h2>{inner}</section>" if inner else ""


def note(words: str) -> str:
    """A line in small letters."""
    return f'<p class="note">{text(words, 1000)}</p>'


def folded(title: str, inner: str) -> str:
    """Shown at a click, without a script."""
    return f"<details><summary>{text(title)}</summary>{inner}</details>"


def stacked(ranks: Sequence[Mapping[str, float]], unit: str) -> str:
    """A bar for each rank, as long as its sum, and the numbers.

    Args:
        ranks: value by part, equal keys.
        unit: of the values.
    """
    if not ranks or not max(sum(rank.values()) for rank in ranks) > 0:
        return ""
    names = list(ranks[0])
    colours = {name: _COLOURS[i % len(_COLOURS)] for i, name in enumerate(names)}
    longest = max(sum(rank.values()) for rank in ranks)
    bars = "".join(_bar(rank, colours, longest, n) for n, rank in enumerate(ranks))
    rows = "".join(_row(name, colours[name], [rank[name] for rank in ranks]) for name in names)
    ends = _row("together", "", [sum(rank.values()) for rank in ranks])
    heads = [f"rank {n}" for n in range(len(ranks))] if len(ranks) > 1 else [unit]
    head = "".join(f'<th class="number">{text(h)}</th>' for h in heads)
    return f"{bars}<table><tr><th></th>{head}</tr>{rows}{ends}</table>"


def _bar(
    rank: Mapping[str, float], colours: Mapping[str, str], longest: float, number: int
) -> str:
    x, parts = 0.0, []
    for name, value in rank.items():
        width = _WIDTH * max(0.0, value) / longest
        label = f"<title>{text(name)}: {value:.4g}</title>"
        parts.append(
            f'<rect class="bar" x="{x:.1f}" y="1" width="{width:.1f}" height="{_HEIGHT - 2}" '
            f'fill="{colours[name]}">{label}</rect>'
        )
        x += width
    words = f'role="img" aria-label="rank {number}, parts of the whole"'
    return f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" {words}>{"".join(parts)}</svg>'


def _row(name: str, colour: str, values: Sequence[float]) -> str:
    swatch = f'<span class="swatch" style="background:{colour}"></span>' if colour else ""
    cells = "".join(f'<td class="number">{value:.4g}</td>' for value in values)
    return f"<tr><td>{swatch}{text(name)}</td>{cells}</tr>"


def _cell(value: Any) -> str:
    if isinstance(value, float) or (isinstance(value, int) and not isinstance(value, bool)):
        shown = f"{value:.6g}" if isinstance(value, float) else value
        return f'<td class="number">{text(shown)}</td>'
    return f"<td>{text('–' if value is None else value)}</td>"
