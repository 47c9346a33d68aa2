"""What do trials say of their own targets?  For development workloads, which no version scores."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from scoring.errors import RulesError
from scoring.logs.trial import Logs, Trial
from scoring.rules.model import Workload

_METRIC = "workload.target_metric_name"
_TARGET = "workload.validation_target_value"
_TEST = "workload.test_target_value"
_BUDGET = "workload.max_allowed_runtime_sec"


def workloads_of(logs: Logs, goals: Mapping[str, str]) -> tuple[Workload, ...]:
    """The workloads of the logs with the targets of their metadata, by name.

    Args:
        goals: metric -> "min" or "max".

    Raises:
        RulesError: two trials name different targets, or none does.
    """
    found: dict[str, tuple[Workload, Path]] = {}
    for trial in logs.trials:
        told = _told(trial, goals)
        if told is None:
            continue
        known, where = found.setdefault(trial.workload, (told, trial.folder))
        if known != told:
            raise RulesError(
                f"{trial.workload}: {where} and {trial.folder} were run for different targets "
                f"or budgets ({_shown(known)}; {_shown(told)}); score them apart"
            )
    silent = {trial.workload for trial in logs.trials} - set(found)
    if silent:
        names = ", ".join(sorted(silent))
        raise RulesError(
            f"rules 'development': no meta_data_0.json of {names} names metric, target and budget; "
            f"score these logs by a version (--rules 0.6)"
        )
    return tuple(found[name][0] for name in sorted(found))


def most_of(logs: Logs) -> tuple[int, int]:
    """The most studies that a submission has of a workload, and the most trials of a study: what
    is missing elsewhere was meant to be there."""
    studies: dict[tuple[str, str], set[str]] = {}
    trials: dict[tuple[str, str, str], int] = {}
    for trial in (*logs.trials, *logs.without_rows):
        studies.setdefault((trial.submission, trial.workload), set()).add(trial.study)
        study = (trial.submission, trial.workload, trial.study)
        trials[study] = trials.get(study, 0) + 1
    return max(map(len, studies.values()), default=0), max(trials.values(), default=0)


def _told(trial: Trial, goals: Mapping[str, str]) -> Workload | None:
    told = trial.metadata()
    metric, target, budget = (told.get(key) for key in (_METRIC, _TARGET, _BUDGET))
    if metric is None and target is None:
        return None
    if not (isinstance(metric, str) and metric in goals and _number(target) and _number(budget)):
        raise RulesError(
            f"{trial.folder / 'meta_data_0.json'}: metric {metric!r:.80}, target {target!r:.80}, "
            f"budget {budget!r:.80}; expected a metric of {', '.join(goals)} and two numbers"
        )
    test = told.get(_TEST)
    tested = float(test) if _number(test) and test is not None else None
    return Workload(
        name=trial.workload,
        column=f"validation/{metric}",
        goal=goals[metric],
        target=float(target or 0.0),
        budget=float(budget or 0.0),
        test_column=f"test/{metric}" if tested is not None else "",
        test_target=tested,
        base_budget=float(budget or 0.0),
    )


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300


def _shown(workload: Workload) -> str:
    return f"{workload.column} {workload.target:g} in {workload.budget:g} s"
