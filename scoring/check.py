"""Are the logs what the rules ask for?  Expected against found, for the lenient a list, for the
strict a refusal.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from scoring.errors import LogsError, StrictError
from scoring.logs.trial import Finding, Logs, Trial
from scoring.rules.model import Rules, Workload

DIFFERS = "differs"  # kind of finding: another number of workloads, studies, trials
SHOWN = 10  # of a refusal's reasons
_TARGET = "workload.validation_target_value"


def compare(logs: Logs, rules: Rules) -> list[Finding]:
    """What is not as the rules have it, and what is odd about evaluations."""
    return [*_counts(logs, rules), *_metadata(logs, rules), *_evaluations(logs, rules)]


def refuse(findings: list[Finding]) -> None:
    """Strict: nothing may differ or be unreadable.

    Raises:
        StrictError: naming the first differences and how many there are.
    """
    wrong = [f for f in findings if f.kind in (DIFFERS, "unreadable")]
    if wrong:
        lines = "".join(f"\n  {f.path}: {f.text}" for f in wrong[:SHOWN])
        more = f"\n  and {len(wrong) - SHOWN} more" if len(wrong) > SHOWN else ""
        raise StrictError(
            f"strict: {len(wrong)} differences from the rules{lines}{more}\n"
            "without --strict they are scored as they are"
        )


def _counts(logs: Logs, rules: Rules) -> Iterator[Finding]:
    """Workloads of submissions, studies of workloads, trials of studies."""
    found: dict[str, dict[str, dict[str, int]]] = {name: {} for name in logs.submissions}
    for trial in logs.trials:
        studies = found[trial.submission].setdefault(trial.workload, {})
        studies[trial.study] = studies.get(trial.study, 0) + 1
    for submission, workloads in found.items():
        for name in rules.names:
            if name not in workloads:
                yield _differs(submission, f"no evaluations on {name}")
        for name, studies in workloads.items():
            if name not in rules.names:
                yield _differs(submission, f"{name} is not in the rules; it is left out")
                continue
            if len(studies) != rules.studies:
                text = f"{name} has {len(studies)} studies; the rules ask for {rules.studies}"
                yield _differs(submission, text)
            for study, trials in studies.items():
                if trials != rules.trials:
                    text = f"{name} has {trials} trials; the rules ask for {rules.trials}"
                    yield _differs(f"{submission}/{study}", text)


def _differs(where: str, text: str) -> Finding:
    return Finding(DIFFERS, Path(where), text)


def _metadata(logs: Logs, rules: Rules) -> Iterator[Finding]:
    """Targets that a trial was run for; one trial of each submission and workload is asked."""
    asked: dict[tuple[str, str], Trial] = {}
    for trial in logs.trials:
        asked.setdefault((trial.submission, trial.workload), trial)
    targets = {workload.name: workload.target for workload in rules.workloads}
    for trial in asked.values():
        if trial.workload not in targets:
            continue
        path = trial.folder / "meta_data_0.json"
        try:
            told = trial.metadata().get(_TARGET)
        except LogsError as error:
            yield Finding("noted", path, str(error))
            continue
        if told is not None and told != targets[trial.workload]:
            text = f"run for the target {told!r:.40}; scored by {targets[trial.workload]!r}"
            yield Finding("noted", path, text)


def _evaluations(logs: Logs, rules: Rules) -> Iterator[Finding]:
    named = {workload.name: workload for workload in rules.workloads}
    for trial in logs.trials:
        workload = named.get(trial.workload)
        if workload is not None and len(trial.clock):
            yield from _columns(trial, workload)


def _cut_short(trial: Trial) -> Iterator[Finding]:
    try:
        why = trial.cut_short()
    except LogsError:
        return  # that its file cannot be read is told where it is read
    if why:
        text = f"{why} before it reached its target: it counts as a miss; let it end"
        yield Finding("noted", trial.folder, text)


def _columns(trial: Trial, workload: Workload) -> Iterator[Finding]:
    values = trial.columns.get(workload.column)
    if values is None:
        text = f"no column {workload.column}: it reaches nothing"
        yield Finding("unreadable", trial.folder, text)
        return
    lost = int(np.isnan(values).sum())
    if lost:
        text = f"{lost} of {len(values)} evaluations have no {workload.column}"
        yield Finding("noted", trial.folder, text)
    row = trial.first_hit(workload.column, workload.goal, workload.target)
    if row < 0:
        yield from _cut_short(trial)
    if row >= 0 and trial.clock[row] > workload.budget:
        text = f"reached at {trial.clock[row]:.1f} s, after the budget of {workload.budget:.0f} s"
        yield Finding("noted", trial.folder, text)
