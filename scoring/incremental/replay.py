"""What would an incremental evaluation have saved?  Finished logs, played again trial by trial.

Each submission in turn is the new one, and the others are its rivals.  Scores are those without
held-out workloads; a study of the new one that the logs lack counts as missed, in both.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scoring.incremental.bounds import scored
from scoring.incremental.evidence import Evidence, Floats, Rivals
from scoring.incremental.policy import Ask, Evaluation
from scoring.incremental.policy import Rules as Policy
from scoring.logs.trial import Logs
from scoring.rules.model import Rules
from scoring.times import TrialTimes, trial_times, workload_times


@dataclass(frozen=True)
class Outcome:
    """One submission's incremental evaluation beside its whole one.

    Args:
        submission: its name.
        hours: of its trials, run to their ends.
        share: of these hours that was needed.
        pairs: rivals; wrong: places among them that came out otherwise than in the whole one.
        score: in the whole evaluation; least, most: what was known of it in the end.
    """

    submission: str
    hours: float
    share: float
    pairs: int
    wrong: int
    score: float
    least: float
    most: float


class Replay:
    """Trials of one submission, as they were.

    Args:
        reached: [W, K, I] time to the target, s; inf: not reached, nan: no such trial.
        ends: [W, K, I] s after which the trial ended; 0: no such trial.
        curves: (workload, study, trial) -> (seconds, metric, larger is better) of its evaluations.
    """

    def __init__(
        self,
        reached: Floats,
        ends: Floats,
        curves: dict[tuple[int, int, int], tuple[Floats, Floats]],
    ) -> None:
        self.reached, self._ends, self._curves = reached, ends, curves

    def run(self, evaluation: Evaluation, ask: Ask) -> None:
        """Show what the trial had shown by then."""
        time, end = float(self.reached[ask.place]), float(self._ends[ask.place])
        if time <= ask.until:
            evaluation.show(ask.place, time, time, True)
            return
        clock, metric = self._curves.get(ask.place, (np.empty(0), np.empty(0)))
        seen = metric[(clock <= ask.until) & ~np.isnan(metric)]
        progress = float(seen.max()) if len(seen) else -np.inf
        evaluation.show(ask.place, min(ask.until, end), np.inf, end <= ask.until, progress)


def replay(logs: Logs, rules: Rules, policy: Policy) -> list[Outcome]:
    """Each submission evaluated incrementally against all others."""
    rules = rules.without_held_out()
    times = trial_times(logs, rules)
    studies = times.best().seconds
    ends, curves = _ends(logs, rules, times)
    found = []
    for place, name in enumerate(times.submissions):
        others = [i for i in range(len(times.submissions)) if i != place]
        rivals = Rivals(
            tuple(times.submissions[i] for i in others),
            times.workloads,
            studies[others],
            np.array([workload.budget for workload in rules.workloads]),
        )
        own = {cell[1:]: curve for cell, curve in curves.items() if cell[0] == place}
        trials = Replay(times.seconds[place], ends[place], own)
        found.append(_one(name, rivals, trials, ends[place], studies[place], policy))
    return found


def _one(
    name: str, rivals: Rivals, trials: Replay, ends: Floats, studies: Floats, policy: Policy
) -> Outcome:
    evidence = Evidence(ends.shape)  # type: ignore[arg-type]
    evidence.over |= np.isnan(trials.reached)  # never run: costs nothing, shows nothing
    evaluation = Evaluation(rivals, evidence, policy)
    while asks := evaluation.ask():
        for ask in asks:
            trials.run(evaluation, ask)
    verdict = evaluation.verdict
    whole = workload_times(np.where(np.isnan(studies), np.inf, studies))
    score, others = scored(rivals, whole)
    lead = score - others
    wrong = ((verdict.chances > 0.5) != (lead > 0)) & (lead != 0)
    least, most = verdict.bounds.score
    share, hours = float(verdict.cost / ends.sum()), float(ends.sum() / 3600)
    return Outcome(
        name, hours, share, len(others), int(wrong.sum()), float(score), least, most
    )


def _ends(
    logs: Logs, rules: Rules, times: TrialTimes
) -> tuple[Floats, dict[tuple[int, int, int, int], tuple[Floats, Floats]]]:
    ends = np.zeros(times.seconds.shape)
    curves = {}
    for trial in logs.trials:
        place = times.cell(trial)
        if place is None or not len(trial.clock):
            continue
        workload = rules.workloads[place[1]]
        metric = trial.columns.get(workload.column, np.full(len(trial.clock), np.nan))
        ends[place] = trial.clock[-1]
        curves[place] = (trial.clock, metric if workload.goal == "max" else -metric)
    return ends, curves
