"""The page's trials and curves: columns of plain values, thinned to what a screen can show."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from scoring.pictures.medians import Curve, Floats
from scoring.report.board import Board
from scoring.report.runs import Run, curves_of
from scoring.report.thin import on_grid, rounded, thinned
from scoring.rules.model import Workload

DIGITS = 5  # of a metric
EXACT = 2**53  # integers above it are not exact in a browser
LONGEST = 200  # characters of a hyperparameter that is no number


def curves(board: Board, order: Sequence[int], runs: Sequence[Run]) -> list[list[Any]]:
    """For each workload and each submission in `order`: its median curve, or None."""
    made = []
    for workload in board.workloads:
        found = curves_of(board, runs, workload)
        names = [board.submissions[s] for s in order]
        made.append([_curve(found[n], workload) if n in found else None for n in names])
    return made


def _curve(curve: Curve, workload: Workload) -> dict[str, list[float]]:
    return {
        "x": on_grid(curve.x, float(curve.x[-1])),
        "m": rounded(curve.median, DIGITS),
        "low": rounded(curve.low, DIGITS),
        "high": rounded(curve.high, DIGITS),
    }


def trials(board: Board, order: Sequence[int], runs: Sequence[Run]) -> dict[str, Any]:
    """`trials`: attribute -> a value for each run; `points`: the hyperparameters that they name."""
    place = {board.submissions[s]: i for i, s in enumerate(order)}
    numbers = {workload.name: i for i, workload in enumerate(board.workloads)}
    points: dict[tuple[tuple[str, Any], ...], int] = {}
    rows = []
    for run in runs:
        if run.submission in place and run.workload in numbers:
            w = numbers[run.workload]
            row = _trial(run, board.workloads[w])
            point = tuple((name, _plain(value)) for name, value in run.hparams.items())
            row.update(s=place[run.submission], w=w, hp=points.setdefault(point, len(points)))
            rows.append(row)
    names = ("s", "w", "study", "n", "f", "status", "t", "best", "rows", "hp", "x", "y")
    columns = {name: [row[name] for row in rows] for name in names}
    return {"trials": columns, "points": [dict(point) for point in points]}


def _plain(value: object) -> object:
    """A hyperparameter as JSON can hold it; what is no number or word is shown as text."""
    if isinstance(value, bool | int | float) and abs(value) < EXACT:
        return value
    return str(value)[:LONGEST]


def _trial(run: Run, workload: Workload) -> dict[str, Any]:
    x, y = run.points.x, run.points.y
    time, best = run.points.first_hit(workload.target, workload.goal), run.points.best(
        workload.goal
    )
    keep = () if np.isinf(time) else (int(np.searchsorted(x, time)),)
    shown = thinned(y, keep)
    return {
        "study": run.points.study,
        "n": run.number,
        "f": run.framework,
        "status": run.status,
        "t": None if np.isinf(time) else time,
        "best": None if np.isnan(best) else best,
        "rows": int(x.size),
        "x": on_grid(x[shown], _end(x)),
        "y": rounded(y[shown], DIGITS),
    }


def _end(x: Floats) -> float:
    return float(x[-1]) if x.size else 0.0
