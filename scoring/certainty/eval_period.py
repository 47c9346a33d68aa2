"""How much of a time to target is the wait for the next evaluation?

A target is noticed at the first evaluation that has it.  Here the quality is taken to change
linearly between this one and the one before, which puts the crossing between the two: a what-if
score, to see whether the period of evaluations, and luck with it, decides a place.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from scoring.certainty.group import Group
from scoring.certainty.leave_one_out import scores_table
from scoring.certainty.table import Cell, Table
from scoring.logs.trial import Logs, Trial, natural
from scoring.rules.model import Workload

Floats = NDArray[np.float64]


def crossing(trial: Trial, workload: Workload, clock: str = "seconds") -> float:
    """Time of the interpolated crossing; inf: not reached; the first evaluation's own time if that
    has the target.  An evaluation without a value is passed over."""
    row = trial.first_hit(workload.column, workload.goal, workload.target)
    if row < 0:
        return np.inf
    time = trial.clock if clock == "seconds" else trial.steps
    values = trial.columns[workload.column]
    before = np.flatnonzero(np.isfinite(values[:row]))
    if not before.size or not np.isfinite(values[row]):
        return float(time[row])
    last = before[-1]
    share = (workload.target - values[last]) / (values[row] - values[last])
    return float(time[last] + share * (time[row] - time[last]))


def interpolated(logs: Logs, group: Group, clock: str = "seconds") -> Group:
    """The group with interpolated times; the best trial is the fastest by them."""
    seconds = group.trials.seconds.copy()
    for trial in logs.trials:
        cell = group.trials.cell(trial)
        if cell is not None:
            seconds[cell] = crossing(trial, group.rules.workloads[cell[1]], clock)
    return group.with_seconds(seconds)


def tables(logs: Logs, group: Group, clock: str = "seconds") -> list[Table]:
    """Scores with interpolated times, and how much shorter these are on each workload."""
    changed = interpolated(logs, group, clock)
    with np.errstate(invalid="ignore"):
        saved = 1 - changed.trials.seconds / group.trials.seconds
    rows: list[list[Cell]] = []
    for w, name in enumerate(group.rules.names):
        there = saved[:, w][np.isfinite(saved[:, w])]
        if there.size:
            rows.append([name, int(there.size), float(np.median(there)), float(there.max())])
    scores = {"interpolated": changed.scores}
    title = "Scores if targets were noticed at once, between two evaluations"
    share = "Share of the time to target that is the wait for an evaluation"
    columns = ("workload", "trials", "median", "most")
    return [
        scores_table(group, "interpolated", title, scores),
        Table("evaluation_wait", share, columns, sorted(rows, key=lambda r: natural(str(r[0])))),
    ]
