"""How does a metric develop on a workload?  Median and range over studies, with target and budget;
below it the distance to the target on a log axis, where near misses show.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from scoring.pictures.medians import Curve
from scoring.pictures.style import (
    DARK,
    Look,
    beside,
    drawing,
    entitle,
    figure,
    looks,
    plain_numbers,
    short,
)
from scoring.report.board import Board
from scoring.rules.model import Workload

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Floats = NDArray[np.float64]
ZERO = 1e-15  # stands for a distance of 0 on a log axis, below the frame


def curves_picture(board: Board, workload: Workload, curves: Mapping[str, Curve]) -> Figure:
    """The learning curves of one workload.

    Args:
        curves: submission -> its curve, x in seconds or steps as the board counts.
    """
    with drawing():
        picture = figure(5.4)
        above, below = picture.subplots(2, 1, sharex=True, height_ratios=(3, 2))
        unit, label = axis_unit(board, workload)
        look = looks(board.submissions)
        shown = [s for s in board.ordered_names() if s in curves]
        least = np.inf
        for name in reversed(shown):
            _value(above, name, curves[name], unit, look[name])
            least = min(least, _distance(below, curves[name], unit, look[name], workload))
        if np.isfinite(least):
            below.set_ylim(bottom=max(0.5 * least, 2 * ZERO))
        _frame(above, workload, curves, unit)
        if board.timed:
            _budget(below, workload.budget / unit)
            above.axvline(workload.budget / unit, color=DARK, linewidth=0.9, linestyle=(0, (1, 2)))
        above.set_ylabel(workload.column)
        below.set_ylabel("distance to the target")
        below.set_xlabel(label)
        lines = {str(line.get_label()): line for line in above.lines}
        picture.legend(
            [lines[name] for name in shown],
            [short(name, 24) for name in shown],
            loc="outside right upper",
            handlelength=3.2,
            alignment="left",
        )
        plain_numbers(below.yaxis)
        entitle(picture, f"{board.title}: {workload.name}")
    return picture


def axis_unit(board: Board, workload: Workload) -> tuple[float, str]:
    """How many seconds (steps) a unit of the axis is, and its label."""
    if not board.timed:
        return 1.0, "steps"
    if workload.budget > 7200:
        return 3600.0, "timed hours"
    return 60.0, "timed minutes"


def _value(axes: Axes, name: str, curve: Curve, unit: float, look: Look) -> None:
    x = curve.x / unit
    axes.plot(x, curve.median, label=name, markevery=(4, 9), **look.line())
    if curve.studies > 1:
        axes.fill_between(x, curve.low, curve.high, color=look.colour, alpha=0.1, linewidth=0)


def _distance(axes: Axes, curve: Curve, unit: float, look: Look, workload: Workload) -> float:
    """Draws how far the median is from the target; a line that reaches it leaves the frame below,
    where a log axis has its zero.  Returns the smallest distance before that; inf without one.
    """
    x, far = curve.approach(workload.target, workload.goal)
    axes.semilogy(x / unit, np.maximum(far, ZERO), markevery=(4, 9), **look.line())
    return float(far[far > 0].min(initial=np.inf))


def window(curves: Mapping[str, Curve], target: float) -> tuple[float, float]:
    """The values worth looking at: what comes after a tenth of the time, and the target."""
    end = max((float(c.x[-1]) for c in curves.values()), default=1.0)
    late = [c.median[c.x >= 0.1 * end] for c in curves.values()]
    kept = np.concatenate([*late, [target]])
    if kept.size == 1:
        kept = np.concatenate([c.median for c in curves.values()] + [kept])
    inside = np.percentile(kept, [2, 98])
    low, high = min(inside[0], target), max(inside[1], target)
    air = 0.06 * ((high - low) or abs(high) or 1.0)
    return float(low - air), float(high + air)


def _frame(axes: Axes, workload: Workload, curves: Mapping[str, Curve], unit: float) -> None:
    axes.set_ylim(window(curves, workload.target))
    axes.set_xlim(0, 1.02 * max((float(c.x[-1]) for c in curves.values()), default=unit) / unit)
    axes.axhline(workload.target, color=DARK, linewidth=0.9, linestyle=(0, (5, 4)), zorder=5)
    place = ("axes fraction", "data")
    beside(axes, f"target {workload.target:g}", (0.98, workload.target), place)


def _budget(axes: Axes, budget: float) -> None:
    """A line at the budget, or a note of where it is when all trials ended long before it."""
    place = ("data", "axes fraction")
    if budget <= 1.3 * axes.get_xlim()[1]:
        axes.set_xlim(0, max(axes.get_xlim()[1], 1.02 * budget))
        axes.axvline(budget, color=DARK, linewidth=0.9, linestyle=(0, (1, 2)))
        beside(axes, "budget", (budget, 0.0), place)
    else:
        beside(axes, f"budget at {budget:.3g}", (axes.get_xlim()[1], 0.0), place)
