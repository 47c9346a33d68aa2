"""What did each trial, study and workload do?  Tables to look things up in, beside the scores."""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scoring.certainty.group import Group
from scoring.certainty.table import Cell, Table
from scoring.errors import LogsError
from scoring.logs.trial import Logs, Trial
from scoring.rules.model import Rules, Workload
from scoring.times import StudyTimes

Floats = NDArray[np.float64]

MOST_LETTERS = 2000  # of hyperparameters in a cell


@dataclass(frozen=True)
class Summary:
    """What a trial did, in seconds and steps of its clock.

    Attributes:
        evaluations: rows of the file; `nan_evaluations` of them have no value of the metric.
        hit: row of the first evaluation at the validation target; -1: none.
        time, step: there; inf and nan without it.
        best: row of the first evaluation with the best value; -1: none.
        best_value, best_time: there; nan without it.
        test_time: to the target on the test split; inf: not reached; nan: it has none.
        step_time: median seconds a step over evaluation intervals.
    """

    trial: Trial
    evaluations: int
    nan_evaluations: int
    hit: int
    time: float
    step: float
    best: int
    best_value: float
    best_time: float
    test_time: float
    last_time: float
    last_step: float
    step_time: float


def summary(trial: Trial, workload: Workload) -> Summary:
    """What a trial on this workload did."""
    hit = trial.first_hit(workload.column, workload.goal, workload.target)
    values = trial.columns.get(workload.column, np.full(len(trial.clock), np.nan))
    best = _best(values, workload.goal)
    return Summary(
        trial=trial,
        evaluations=len(values),
        nan_evaluations=int(np.isnan(values).sum()),
        hit=hit,
        time=_at(trial.clock, hit, np.inf),
        step=_at(trial.steps, hit),
        best=best,
        best_value=_at(values, best),
        best_time=_at(trial.clock, best),
        test_time=_test_time(trial, workload),
        last_time=_at(trial.clock, len(values) - 1),
        last_step=_at(trial.steps, len(values) - 1),
        step_time=_median(step_times(trial)),
    )


def step_times(trial: Trial) -> Floats:
    """Seconds a step in each interval between evaluations, the first from 0 [rows]."""
    with np.errstate(divide="ignore", invalid="ignore"):
        found = np.diff(trial.clock, prepend=0.0) / np.diff(trial.steps, prepend=0.0)
    return found[np.isfinite(found)]


def trial_table(logs: Logs, rules: Rules) -> Table:
    """A row for each trial on a workload of the rules, also for those without evaluations."""
    names = {workload.name: workload for workload in rules.workloads}
    rows = [
        _row(summary(trial, names[trial.workload]), names[trial.workload])
        for trial in (*logs.trials, *logs.without_rows)
        if trial.workload in names
    ]
    return Table("trials", "Trials", _TRIAL_COLUMNS, rows)


def study_table(logs: Logs, group: Group, best: StudyTimes) -> Table:
    """A row for each study: its best trial, that trial's time and hyperparameters."""
    found = {(t.submission, t.workload, t.study, t.number): t for t in logs.trials}
    numbers = group.trials.numbers
    rows: list[list[Cell]] = []
    for s, w, k in np.argwhere((numbers > 0).any(-1)).tolist():
        path = (best.submissions[s], best.workloads[w], best.studies[k])
        trial = found.get((*path, int(best.trials[s, w, k])))
        count = int((numbers[s, w, k] > 0).sum())
        reached = int(np.isfinite(group.trials.seconds[s, w, k]).sum())
        time = float(best.seconds[s, w, k])
        number = trial.number if trial else None
        rows.append([*path, count, reached, number, time, _hparams(trial)])
    columns = ("submission", "workload", "study", "trials", "reached", "best_trial")
    return Table("studies", "Studies", (*columns, "time_to_target", "hparams"), rows)


def workload_step_times(logs: Logs) -> Table:
    """Median seconds a step of every submission and workload over all its trials."""
    found: dict[tuple[str, str], list[Floats]] = {}
    for trial in logs.trials:
        found.setdefault((trial.submission, trial.workload), []).append(step_times(trial))
    rows: list[list[Cell]] = [
        [*key, _median(np.concatenate(parts))] for key, parts in found.items()
    ]
    return Table("step_times", "Seconds a step", ("submission", "workload", "step_time"), rows)


_TRIAL_COLUMNS = (
    *("submission", "workload", "framework", "study", "trial", "status", "metric", "target"),
    *("reached", "evaluations", "nan_evaluations", "best_value", "time_to_best"),
    *("time_to_target", "step_to_target", "share_of_budget", "time_to_test_target"),
    *("last_time", "last_step", "step_time"),
)


def _row(found: Summary, workload: Workload) -> list[Cell]:
    trial = found.trial
    path = (trial.submission, trial.workload, trial.framework, trial.study, trial.number)
    reached = "yes" if found.hit >= 0 else "no"
    share = found.time / workload.budget if workload.budget else np.nan
    return [
        *(*path, status_of(found), workload.column, workload.target, reached),
        *(found.evaluations, found.nan_evaluations, found.best_value, found.best_time),
        *(found.time, found.step, share, found.test_time),
        *(found.last_time, found.last_step, found.step_time),
    ]


def status_of(found: Summary) -> str:
    """The status in result.json; else `unfinished` (a trial of this project that still runs or was
    killed), `reached`, `not_reached`, or `no_evaluations`."""
    try:
        told = found.trial.status() or (found.hit < 0 and found.trial.cut_short())
    except LogsError:
        return "unreadable"
    if told:
        return told[:40]
    if not found.trial.columns:
        return "no_evaluations"
    return "reached" if found.hit >= 0 else "not_reached"


def _best(values: Floats, goal: str) -> int:
    """First row with the best value; -1 if there is none.  NaN is no value."""
    if not len(values) or np.isnan(values).all():
        return -1
    return int(np.nanargmin(values) if goal == "min" else np.nanargmax(values))


def _test_time(trial: Trial, workload: Workload) -> float:
    if workload.test_target is None or workload.test_column not in trial.columns:
        return np.nan
    hit = trial.first_hit(workload.test_column, workload.goal, workload.test_target)
    return _at(trial.clock, hit, np.inf)


def _at(values: Floats, row: int, otherwise: float = np.nan) -> float:
    return float(values[row]) if row >= 0 else otherwise


def _median(values: Floats) -> float:
    return float(np.median(values)) if len(values) else np.nan


def _hparams(trial: Trial | None) -> str:
    try:
        text = json.dumps(trial.hparams()) if trial else ""
    except LogsError:
        return "unreadable"
    return text if len(text) <= MOST_LETTERS else f"{text[:MOST_LETTERS]}..."
