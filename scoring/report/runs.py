"""A trial as pictures and page show it, and the median curves of many."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from scoring.errors import LogsError
from scoring.logs.trial import Finding, Logs, Trial
from scoring.pictures.medians import Curve, Points, median_curve, one_per_study
from scoring.report.board import Board
from scoring.rules.model import Workload

HUGE = 1e100  # a value of a metric that is not below cannot be drawn


@dataclass(frozen=True)
class Run:
    """One trial on a workload of the board: its evaluations, and what its folder says of it."""

    submission: str
    workload: str
    number: int
    points: Points
    framework: str = ""
    status: str = ""
    hparams: Mapping[str, object] = field(default_factory=dict)


def runs_of(logs: Logs, board: Board) -> tuple[list[Run], list[Finding]]:
    """The trials on the board's workloads, and a finding for each file beside them that cannot be
    read: its trial is shown without what the file would have said.
    """
    workloads = {workload.name: workload for workload in board.workloads}
    runs: list[Run] = []
    findings: list[Finding] = []
    for trial in logs.trials:
        if trial.workload not in workloads or trial.submission not in board.submissions:
            continue
        try:
            status, hparams = trial.status(), trial.hparams()
        except LogsError as error:
            findings.append(Finding("unreadable", trial.folder, str(error)))
            status, hparams = "", {}
        points = _points(trial, workloads[trial.workload], board.timed)
        named = (trial.submission, trial.workload, trial.number, points, trial.framework)
        runs.append(Run(*named, trial.void or status, hparams))
    return runs, findings


def _points(trial: Trial, workload: Workload, timed: bool) -> Points:
    x = trial.clock if timed else trial.steps
    y = trial.columns.get(workload.column)
    if y is None or len(y) != len(x):
        return Points(trial.study, np.empty(0), np.empty(0), bool(trial.void))
    y = np.where(np.abs(y) < HUGE, y, np.nan)
    if (np.diff(x) < 0).any():  # noted among the findings; a line needs an order all the same
        order = np.argsort(x, kind="stable")
        x, y = x[order], y[order]
    return Points(trial.study, x, y, bool(trial.void))


def curves_of(board: Board, runs: Sequence[Run], workload: Workload) -> dict[str, Curve]:
    """submission -> its median curve on a workload, where it has one."""
    here: dict[str, list[Points]] = {}
    for run in runs:
        if run.workload == workload.name:
            here.setdefault(run.submission, []).append(run.points)
    found = {}
    for name in board.submissions:
        chosen = one_per_study(here.get(name, []), workload.target, workload.goal)
        curve = median_curve(chosen)
        if curve is not None:
            found[name] = curve
    return found
