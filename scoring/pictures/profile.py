"""Performance profiles: on which share of the workloads does a submission need at most tau times
the time of the fastest?  The ranked table is the legend: same line and marker in both.

Source: Dolan and More, Benchmarking optimization software with performance profiles, 2002.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from scoring.pictures.style import DARK, drawing, entitle, figure, footnote, looks, padded, short
from scoring.report.board import Board

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Floats = NDArray[np.float64]


def corners(ratios: Floats, most: float) -> tuple[Floats, Floats]:
    """Where a profile jumps, and its height there: `tau` and `share` [J], from 1 to `most`.

    Args:
        ratios: time as a multiple of the fastest [B]; inf where the workload does not count.
    """
    inside = np.sort(ratios[ratios <= most])
    tau = np.unique(np.concatenate([[1.0], inside[inside >= 1], [most]]))
    return tau, np.searchsorted(inside, tau, side="right") / ratios.size


def profile_picture(board: Board) -> Figure:
    """The profiles of all submissions, with the leaderboard beside them."""
    with drawing():
        row = 0.2 if board.low is None else 0.33  # inches: an interval has a line of its own
        picture = figure(max(3.4, 0.6 + row * len(board.submissions)))
        axes = picture.add_subplot()
        look = looks(board.submissions)
        order = board.by_rank()
        for depth, s in enumerate(reversed(order)):
            tau, share = corners(board.ratios[s], board.tau_max)
            style = look[board.submissions[s]].line()
            axes.plot(tau, share, drawstyle="steps-post", zorder=3 + depth, **style, clip_on=False)
        axes.set(xlim=(1, board.tau_max), ylim=(0, 1))
        axes.set_xlabel("time to target, as a multiple of the fastest submission's")
        axes.set_ylabel(f"share of the {board.ratios.shape[1]} workloads")
        _legend(picture, board)
        entitle(picture, board.title)
        footnote(picture, board.comparable)
    return picture


def _legend(picture: Figure, board: Board) -> None:
    """The ranked table: rank, name, score and, where there is one, its interval."""
    from matplotlib.lines import Line2D

    look = looks(board.submissions)
    order = board.by_rank()
    handles = [Line2D([], [], **look[board.submissions[s]].line()) for s in order]
    table = picture.legend(
        handles,
        [_row(board, s) for s in order],
        loc="outside right upper",
        title=f"rank, score{', interval' if board.low is not None else ''}",
        handlelength=3.2,
        labelspacing=0.7,
        alignment="left",
    )
    for text in table.get_texts():
        text.set_color(DARK)


def _row(board: Board, s: int) -> str:
    row = f"{padded(board.ranks[s])}  {board.scores[s]:.4f}  {short(board.submissions[s])}"
    if board.low is None or board.high is None:
        return row
    return f"{row}\n{padded('')}  [{board.low[s]:.3f}, {board.high[s]:.3f}]"
