"""Which trial is run next, how far, and when is enough known?

Workloads come in the order of what they can still change over what they still cost.  Within one, a
study is run in rungs: all its trials to an eighth of the time that can count, then to a quarter, to
a half, to the end; a trial that reaches the target ends the others of its study at that time.  With
`halving` only the better half of the trials goes on to the next rung.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from scoring.incremental.bounds import Bounds, bounds, limits, needed, weights
from scoring.incremental.evidence import Evidence, Floats, Rivals
from scoring.incremental.predict import chances

RUNGS = (0.125, 0.25, 0.5, 1.0)  # of the time after which a trial counts nothing


@dataclass(frozen=True)
class Shown:
    """What a trial has shown when it is stopped.

    Args:
        spent: s on its clock.
        reached: time to the validation target, s; inf: not reached.
        over: it cannot be continued.
        progress: larger is better: its best metric, with the sign of the target's direction; -inf
            if it has none.
    """

    spent: float
    reached: float
    over: bool
    progress: float = -np.inf


class Trials(Protocol):
    """Whatever runs trials, or replays them."""

    def run(self, workload: int, study: int, trial: int, until: float) -> Shown:
        """Start the trial, or go on with it, until `until` seconds on its clock."""


@dataclass(frozen=True)
class Rules:
    """When to stop.

    Args:
        confidence: stop when every rival is beaten, or beats it, with at least this probability;
            1: when nothing that is still open can change a place.
        halving: drop the worse half of a study's trials after each rung.
        seed: of the draws.
    """

    confidence: float = 1.0
    halving: bool = False
    seed: int = 0


@dataclass(frozen=True)
class Verdict:
    """What is known when enough is.

    Args:
        bounds: of the scores.
        chances: [C] probability that it beats the rival.
        cost: s of all trials together.
    """

    bounds: Bounds
    chances: Floats
    cost: float


def assess(rivals: Rivals, evidence: Evidence, rules: Rules) -> tuple[Verdict, bool]:
    """(what is known, whether it is enough)."""
    found = bounds(rivals, *evidence.times())
    sure = (found.lead[0] > 0) + 0.5 * (found.lead[0] == found.lead[1]) * (found.lead[0] == 0)
    odds = np.where(found.open, 0.5, sure)
    if found.open.any() and rules.confidence < 1:
        drawn = chances(rivals, evidence, np.random.default_rng(rules.seed))
        odds = np.where(found.open, drawn, sure)
    enough = ~found.open | (np.maximum(odds, 1 - odds) >= rules.confidence)
    verdict = Verdict(found, odds, float(evidence.spent.sum()))
    return verdict, bool(enough.all() or not needed(rivals, evidence).any())


def advance(rivals: Rivals, evidence: Evidence, trials: Trials, rules: Rules) -> None:
    """Run the next rung of one study; `evidence` holds what it shows."""
    workload, study, until = next_rung(rivals, evidence)
    progress = np.full(evidence.shape[-1], -np.inf)
    for trial in np.flatnonzero(needed(rivals, evidence)[workload, study]):
        limit = min(until, float(limits(rivals, evidence)[workload, study]))
        if evidence.spent[workload, study, trial] >= limit:
            continue
        shown = trials.run(workload, study, int(trial), limit)
        place = (workload, study, trial)
        evidence.spent[place], evidence.reached[place] = shown.spent, shown.reached
        evidence.over[place] = shown.over
        progress[trial] = shown.progress
    if rules.halving:
        _drop_worse(rivals, evidence, workload, study, progress)


def next_rung(rivals: Rivals, evidence: Evidence) -> tuple[int, int, float]:
    """(workload, study, s) to run next: there is one as long as a trial is needed."""
    still = needed(rivals, evidence)
    left = np.where(still, limits(rivals, evidence)[..., None] - evidence.spent, 0.0)
    cost = left.sum((1, 2))
    worth = np.where(cost > 0, (weights(rivals, evidence) + 1e-12) / np.maximum(cost, 1e-9), -1.0)
    workload = int(worth.argmax())
    begun = np.where(still[workload].any(-1), evidence.spent[workload].sum(-1), -1.0)
    study = int(begun.argmax())  # one that has begun is finished first
    ahead = float(evidence.spent[workload, study][still[workload, study]].min())
    limit = float(limits(rivals, evidence)[workload, study])
    rungs = [share * limit for share in RUNGS]
    return workload, study, next((rung for rung in rungs if rung > ahead * (1 + 1e-9)), limit)


def _drop_worse(
    rivals: Rivals, evidence: Evidence, workload: int, study: int, progress: Floats
) -> None:
    """Of the trials that would go on, the better half does, rounded up."""
    going = np.flatnonzero(needed(rivals, evidence)[workload, study])
    going = going[np.argsort(-progress[going], kind="stable")]
    evidence.dropped[workload, study, going[(len(going) + 1) // 2 :]] = True
