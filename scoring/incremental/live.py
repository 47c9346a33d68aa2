"""An evaluation of a submission that is run now, among rivals whose logs are complete.

Whoever runs trials makes a `Live` (conf/benchmark/incremental.yaml names it), begins, asks for
trials, shows what they did, and prints the report.  Nothing here runs anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from scoring.errors import RulesError, ScoringError
from scoring.incremental.evidence import Evidence, Rivals
from scoring.incremental.policy import Evaluation
from scoring.incremental.policy import Rules as Policy
from scoring.logs.read import read_logs
from scoring.logs.trial import Logs
from scoring.rules.load import load_rules
from scoring.rules.model import Rules
from scoring.times import trial_times

_CLOSE = 1e-3  # by how much budgets that mean the same may differ, as a share
_HOUR = 3600.0


class Live:
    """What decides, and by which results.

    Args:
        rivals: folder or folders of logs, as `python -m scoring` reads them.
        version: of the rules that score them; "development": targets and budgets as the logs say.
        ruleset: "external" or "self".
        confidence: stop when every place is sure with at least this probability; 1: when nothing
            that is still open can change one.
        halving: drop the worse half of a study's trials after each rung.
        seed: of the draws behind probabilities.

    Raises:
        ValueError: a confidence that is none.
    """

    def __init__(
        self,
        rivals: str | Sequence[str],
        version: str,
        ruleset: str = "external",
        confidence: float = 1.0,
        halving: bool = False,
        seed: int = 0,
    ) -> None:
        if not 0.5 < confidence <= 1.0:
            raise ValueError(f"confidence is {confidence}; expected above 0.5, at most 1")
        folders = [rivals] if isinstance(rivals, str) else rivals
        self._folders = [Path(folder).expanduser() for folder in folders]
        self._version, self._ruleset = version, ruleset
        self._policy = Policy(confidence, halving, seed)

    def begin(
        self,
        submission: str,
        workloads: Sequence[str],
        budgets: Sequence[float],
        shape: tuple[int, int],
    ) -> Evaluation:
        """An evaluation of which nothing has been shown.

        Args:
            submission: its name; logs of the same name are not among its rivals.
            workloads: names, W.
            budgets: [W] s of a trial.
            shape: (studies, trials of a study).

        Raises:
            ValueError: the rivals cannot be read, or were not scored on the same workloads.
        """
        try:
            logs = self._others(submission)
            rules = load_rules(self._version, self._ruleset, logs).without_held_out()
            rivals = rivals_of(logs, rules, workloads, budgets)
        except ScoringError as error:
            raise ValueError(str(error)) from error
        return Evaluation(rivals, Evidence((len(workloads), *shape)), self._policy)

    def _others(self, submission: str) -> Logs:
        logs = read_logs(self._folders)
        others = frozenset(logs.submissions) - {submission}
        if not others:
            raise RulesError(
                f"{', '.join(map(str, self._folders))}: no submission but {submission!r}; "
                "expected logs of those that it is to be compared with"
            )
        return logs.only(others)

    def report(self, evaluation: Evaluation) -> str:
        """What is known, for people: a line for the score, one for each rival."""
        evaluation.look()
        verdict, rivals = evaluation.verdict, evaluation.rivals
        least, most = verdict.bounds.score
        lines = [f"score {_between(least, most)}; {_hours(evaluation)}"]
        width = max(len(name) for name in rivals.names)
        for place in np.argsort(-verdict.bounds.rivals[0], kind="stable"):
            low, high = (float(end[place]) for end in verdict.bounds.rivals)
            chance = float(verdict.chances[place])
            state = "open" if verdict.bounds.open[place] else _sure(chance)
            if state == "open" and self._policy.confidence < 1:
                state = f"beaten with probability {chance:.3f}"
            lines.append(f"  {rivals.names[place]:{width}}  {_between(low, high):18}  {state}")
        return "\n".join(lines)


def rivals_of(
    logs: Logs, rules: Rules, workloads: Sequence[str], budgets: Sequence[float]
) -> Rivals:
    """Results of the rivals on these workloads, in this order.

    Raises:
        RulesError: the rules or the logs lack a workload, or its budget is another one.
    """
    known = {workload.name: workload for workload in rules.workloads}
    for name, budget in zip(workloads, budgets):
        if name not in known:
            raise RulesError(
                f"{rules.title}: no results of {name!r}; the rivals have {', '.join(known)}"
            )
        if abs(known[name].budget - budget) > _CLOSE * budget:
            raise RulesError(
                f"{name}: the rivals had {known[name].budget:g} s, this submission has {budget:g} s"
            )
    times = trial_times(logs, rules)
    places = [times.workloads.index(name) for name in workloads]
    seconds = times.best().seconds[:, places]
    return Rivals(times.submissions, tuple(workloads), seconds, np.asarray(budgets, np.float64))


def _hours(evaluation: Evaluation) -> str:
    evidence, budgets = evaluation.evidence, evaluation.rivals.budgets
    whole = float(budgets.sum()) * evidence.shape[1] * evidence.shape[2]
    spent = float(evidence.spent.sum())
    return f"{spent / _HOUR:.2f} h of trials, of at most {whole / _HOUR:.2f} h"


def _between(least: float, most: float) -> str:
    return f"{least:.4f}" if least == most else f"{least:.4f} to {most:.4f}"


def _sure(chance: float) -> str:
    return {1.0: "beaten", 0.0: "ahead"}.get(chance, "equal")
