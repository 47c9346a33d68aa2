"""Which hyperparameters matter?  Time to target of every trial against each dimension that varies.

A trial that missed the target stands in the band on top.  One panel for each dimension, one marker
for each workload; workloads with budgets of all sizes share an axis as shares of their budget.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from scoring.pictures.style import (
    DARK,
    FAINT,
    Look,
    drawing,
    entitle,
    figure,
    looks,
    plain_numbers,
    short,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PANELS_A_ROW = 3
MISSED = 1.12  # where trials stand that missed, in shares of the budget
HUGE = 1e100  # a value that is not below is no number of a search space
LONGEST = 80  # characters of a value that is no number
FEW = 5  # so many different values stand side by side, more at their places on an axis


@dataclass(frozen=True)
class Tried:
    """A trial as it is drawn: its point, and its time as a share of the budget (inf: missed)."""

    workload: str
    point: Mapping[str, object]
    share: float


def varying(tried: Sequence[Tried]) -> list[str]:
    """The dimensions that have at least two values, in alphabetical order."""
    names = sorted({name for t in tried for name in t.point})
    return [n for n in names if len({repr(t.point[n]) for t in tried if n in t.point}) > 1]


def hparams_picture(
    title: str,
    tried: Sequence[Tried],
    workloads: Sequence[str],
    label: str = "share of the budget",
) -> Figure | None:
    """One submission's trials; None if no dimension varies.

    Args:
        workloads: those of the group, so that one looks the same in the pictures of all.
    """
    dimensions = varying(tried)
    if not dimensions:
        return None
    rows = -(-len(dimensions) // PANELS_A_ROW)
    there = {t.workload for t in tried}
    look = {name: its for name, its in looks(workloads).items() if name in there}
    with drawing():
        picture = figure(1.1 + 1.75 * rows)
        grid = picture.subplots(rows, PANELS_A_ROW, sharey=True, squeeze=False).ravel()
        for axes, dimension in zip(grid, dimensions, strict=False):
            _panel(axes, dimension, tried, look)
        for axes in grid[len(dimensions) :]:
            axes.set_visible(False)
        for axes in grid[::PANELS_A_ROW]:
            axes.set_ylabel(label)
        entitle(picture, title)
        _legend(picture, look)
    return picture


def _legend(picture: Figure, look: Mapping[str, Look]) -> None:
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], color=its.colour, **_marked(its)) for its in look.values()]
    names = [short(name, 24) for name in look]
    picture.legend(handles, names, loc="outside lower left", ncols=4, handletextpad=0.2)


def _marked(look: Look) -> dict[str, Any]:
    return {"marker": look.marker, "linestyle": "none", "markersize": 3.6, "alpha": 0.8}


def _panel(axes: Axes, dimension: str, tried: Sequence[Tried], look: Mapping[str, Look]) -> None:
    here = [t for t in tried if dimension in t.point]
    places = _places([t.point[dimension] for t in here])
    for i, (workload, its) in enumerate(look.items()):
        chosen = [(x, t.share) for x, t in zip(places.x, here) if t.workload == workload]
        if not chosen:
            continue
        x = np.array([place for place, _ in chosen])
        if places.names:
            x = x + 0.7 * ((i + 0.5) / len(look) - 0.5)
        y = np.array([share for _, share in chosen])
        hit = np.isfinite(y)
        common = _marked(its)
        axes.plot(x[hit], y[hit], color=its.colour, **common)
        missed = np.full((~hit).sum(), MISSED + 0.1 * (i + 0.5) / len(look))
        axes.plot(x[~hit], missed, color=its.colour, markerfacecolor="none", **common)
    axes.axhspan(MISSED - 0.03, MISSED + 0.13, color="#f0f0f0", zorder=0, linewidth=0)
    axes.annotate("missed", (0.99, MISSED + 0.14), xycoords=("axes fraction", "data"), ha="right")
    axes.texts[-1].set(fontsize=7, color=FAINT)
    axes.set_ylim(0, MISSED + 0.2)
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1.0])
    axes.set_title(short(dimension, 30), fontsize=8.5, color=DARK)
    places.label(axes)


@dataclass(frozen=True)
class _Places:
    """Where values stand on an axis: many numbers at their value, names and few side by side."""

    x: tuple[float, ...]
    names: tuple[str, ...] = ()
    log: bool = False

    def label(self, axes: Axes) -> None:
        if self.names:
            axes.set_xticks(range(len(self.names)), [short(n, 12) for n in self.names], fontsize=7)
            axes.set_xlim(-0.5, len(self.names) - 0.5)
        elif self.log:
            axes.set_xscale("log")
            plain_numbers(axes.xaxis)
        else:
            axes.locator_params(axis="x", nbins=4)


def _places(values: Sequence[object]) -> _Places:
    numbers = [v for v in values if isinstance(v, int | float) and not isinstance(v, bool)]
    if len(numbers) < len(values) or not all(abs(v) < HUGE for v in numbers):
        texts = [str(v)[:LONGEST] for v in values]
        return _side_by_side(sorted(set(texts)), texts)
    x = tuple(float(v) for v in numbers)
    if len(set(x)) <= FEW:
        names = brief(sorted(set(x)))
        return _side_by_side(list(names.values()), [names[v] for v in x])
    return _Places(x, log=min(x) > 0 and max(x) > 20 * min(x))


def brief(values: Sequence[float]) -> dict[float, str]:
    """A name for each value: with the fewest digits, from 2, that tell them apart."""
    for digits in range(2, 17):
        names = {value: f"{value:.{digits}g}" for value in values}
        if len(set(names.values())) == len(names):
            return names
    return {value: repr(value) for value in values}


def _side_by_side(names: list[str], values: list[str]) -> _Places:
    return _Places(tuple(float(names.index(v)) for v in values), tuple(names))
