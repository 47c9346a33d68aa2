"""Does a trial that reaches the target on the validation split reach that of the test split?

Test targets are recorded for analysis and are not scored.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from scoring.certainty.group import Group
from scoring.certainty.leave_one_out import scores_table
from scoring.certainty.table import Cell, Table
from scoring.errors import RulesError
from scoring.logs.trial import Logs
from scoring.rules.model import Rules, Workload
from scoring.times import trial_times


def rules_of_test(rules: Rules) -> Rules:
    """The rules with test targets in the place of validation targets.

    Raises:
        RulesError: a workload has no test target.
    """
    return replace(rules, workloads=tuple(_tested(workload) for workload in rules.workloads))


def counts(logs: Logs, workload: Workload) -> tuple[int, int, int]:
    """Trials of a workload that reach the validation target, both, the test target, at any time."""
    reached = both = tested = 0
    for trial in logs.trials:
        if trial.workload == workload.name:
            target = _tested(workload)
            first = trial.first_hit(workload.column, workload.goal, workload.target) >= 0
            second = trial.first_hit(target.column, target.goal, target.target) >= 0
            reached, both, tested = reached + first, both + (first and second), tested + second
    return reached, both, tested


def tables(logs: Logs, group: Group, clock: str) -> list[Table]:
    """Counts by workload, and scores by the time to the test target; none without test targets."""
    if any(workload.test_target is None for workload in group.rules.workloads):
        return []
    rules = rules_of_test(group.rules)
    changed = replace(group, trials=trial_times(logs, rules, clock), rules=rules)
    rows = list(_rows(logs, group, changed))
    columns = ("workload", "validation", "both", "share", "test", "ratio of times")
    notes = ("Numbers of trials; ratio: median time to the test target over that to validation.",)
    return [
        Table("transfer", "From validation to test target", columns, rows, notes, digits=3),
        scores_table(
            group, "test_scores", "Scores by test target", {"test target": changed.scores}
        ),
    ]


def _rows(logs: Logs, group: Group, changed: Group) -> Iterator[list[Cell]]:
    total = np.zeros(3, dtype=np.int64)
    for w, workload in enumerate(group.rules.workloads):
        found = counts(logs, workload)
        total += found
        with np.errstate(invalid="ignore", divide="ignore"):
            ratio = changed.trials.seconds[:, w] / group.trials.seconds[:, w]
        there = ratio[np.isfinite(ratio)]
        yield _row(workload.name, found, float(np.median(there)) if there.size else None)
    yield _row("all", (int(total[0]), int(total[1]), int(total[2])), None)


def _row(name: str, found: tuple[int, int, int], ratio: float | None) -> list[Cell]:
    reached, both, tested = found
    return [name, reached, both, both / reached if reached else None, tested, ratio]


def _tested(workload: Workload) -> Workload:
    if workload.test_target is None or not workload.test_column:
        raise RulesError(f"{workload.name} has no test target in these rules")
    return replace(workload, column=workload.test_column, target=workload.test_target)
