"""Who reaches which target, and when?  Submissions by rank, workloads side by side; a cell that
does not count is grey and its mark says why.

One hue from light to dark is read alike by all eyes and by a grey print; the number in the cell is
the per cent of the budget (of the steps: the thousands).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from scoring.pictures.style import (
    DARK,
    FAINT,
    MISS,
    drawing,
    entitle,
    figure,
    footnote,
    padded,
    short,
)
from scoring.report.board import Board
from scoring.report.marks import MARKS, mark_of, sentence

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def heat_map(board: Board) -> Figure:
    """The time of every submission on every workload, base workloads left of held-out ones."""
    rows, columns = len(board.submissions), len(board.workloads)
    with drawing():
        picture = figure(1.9 + 0.27 * rows)
        axes = picture.add_subplot()
        axes.grid(False)
        axes.set(xlim=(0, columns), ylim=(rows, 0))
        for spine in axes.spines.values():
            spine.set_visible(False)
        for row, s in enumerate(board.by_rank()):
            for w in range(columns):
                _cell(axes, board, row, s, w)
        _labels(axes, board)
        entitle(picture, f"{board.title}: time to target")
        footnote(picture, _legend(board))
    return picture


def _cell(axes: Axes, board: Board, row: int, s: int, w: int) -> None:
    from matplotlib import colormaps
    from matplotlib.patches import Rectangle

    reason = board.reasons[s][w]
    share = board.share(s, w)
    counts = not reason and np.isfinite(share)
    colour = colormaps["Blues"](0.08 + 0.62 * min(share, 1.0)) if counts else MISS
    axes.add_patch(Rectangle((w, row), 1, 1, facecolor=colour, edgecolor="white", linewidth=1.2))
    dark = counts and share > 0.75
    axes.text(
        w + 0.5,
        row + 0.52,
        _text(board, s, w),
        ha="center",
        va="center",
        fontsize=7.5,
        fontweight="bold" if board.is_best(s, w) else "normal",
        color="white" if dark else DARK if counts else FAINT,
    )


def _text(board: Board, s: int, w: int) -> str:
    reason = board.reasons[s][w]
    symbol = mark_of(reason).symbol if reason else ""
    share = board.share(s, w)
    if not np.isfinite(share):
        return symbol or "∞"
    shown = f"{100 * share:.0f}" if share >= 0.1 else f"{100 * share:.1f}"
    return shown + symbol


def _labels(axes: Axes, board: Board) -> None:
    names = [short(w.name, 36) for w in board.workloads]
    axes.set_xticks(np.arange(len(names)) + 0.5, names, rotation=40, ha="left", fontsize=7.5)
    axes.xaxis.tick_top()
    order = board.by_rank()
    ranked = [f"{short(board.submissions[s], 24)}  {padded(board.ranks[s])}" for s in order]
    axes.set_yticks(np.arange(len(order)) + 0.5, ranked)
    axes.tick_params(length=0)
    base = sum(not w.held_out for w in board.workloads)
    if base < len(names):
        axes.axvline(base, color=DARK, linewidth=1.2)


def _legend(board: Board) -> str:
    used = {r.partition(":")[0] for row in board.reasons for r in row if r}
    marks = [f"{mark_of(r).symbol} {sentence(r, board.factor)}" for r in MARKS if r in used]
    unit = "per cent of the budget until the target is reached" if board.timed else "steps"
    lines = [f"{unit}, median over studies; bold: the fastest that counts"]
    for mark in marks:
        if len(lines[-1]) + len(mark) < 105 and len(lines) > 1:
            lines[-1] += f";  {mark}"
        else:
            lines.append(mark)
    return "\n".join(lines)
