"""How much does a score owe to tau_max?  A small one asks who is near the fastest, a large one who
arrives at all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from scoring.pictures.style import DARK, drawing, entitle, figure, looks, padded, short
from scoring.profile import scores
from scoring.report.board import Board

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TAUS = np.concatenate([np.arange(1.1, 4.0, 0.1), np.arange(4.0, 10.01, 0.25)])


def tau_picture(board: Board) -> Figure:
    """Score of every submission against tau_max; a line marks the rules' own.

    The exclusion of times over `board.factor` times the fastest stays as it is.
    """
    with drawing():
        picture = figure(max(3.4, 1.2 + 0.2 * len(board.submissions)))
        axes = picture.add_subplot()
        look = looks(board.submissions)
        values = np.stack([scores(board.ratios, tau, board.integral) for tau in TAUS.tolist()], 1)
        order = board.by_rank()
        for s in reversed(order):
            axes.plot(
                TAUS, values[s], markevery=(5 + s % 4, 8), **look[board.submissions[s]].line()
            )
        axes.axvline(board.tau_max, color=DARK, linewidth=0.9, linestyle=(0, (5, 4)))
        axes.text(board.tau_max + 0.08, 0.0, f"rules: {board.tau_max:g}", fontsize=7.5, va="bottom")
        axes.set(xlim=(1, TAUS[-1]), ylim=(0, 1))
        axes.set_xlabel("tau_max: the largest multiple of the fastest time that earns anything")
        axes.set_ylabel("score")
        handles = [axes.lines[len(order) - 1 - i] for i in range(len(order))]
        names = [f"{padded(board.ranks[s])}  {short(board.submissions[s])}" for s in order]
        picture.legend(
            handles, names, loc="outside right upper", handlelength=3.2, alignment="left"
        )
        entitle(picture, board.title)
    return picture
