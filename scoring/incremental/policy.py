"""Which trial is run next, how far, and when is enough known?

Workloads come in the order of what they can still change over what they still cost.  Within one, a
study is run in rungs: all its trials to an eighth of the time that can count, then to a quarter, to
a half, to the end; a trial that reaches the target ends the others of its study at that time.  With
`halving` only the better half of the trials goes on to the next rung.
"""

from dataclasses import dataclass

import numpy as np

from scoring.incremental.bounds import Bounds, bounds, limits, needed, weights
from scoring.incremental.evidence import Evidence, Floats, Rivals
from scoring.incremental.predict import chances

RUNGS = (0.125, 0.25, 0.5, 1.0)  # of the time after which a trial counts nothing


@dataclass(frozen=True)
class Ask:
    """A trial to start, or to go on with, until `until` seconds on its clock."""

    workload: int
    study: int
    trial: int
    until: float

    @property
    def place(self) -> tuple[int, int, int]:
        """In the evidence."""
        return self.workload, self.study, self.trial


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


class Evaluation:
    """An evaluation that goes on: asks for trials, and is told what they show.

    Args:
        rivals: with complete results.
        evidence: what is known so far; changed as trials show more.
        rules: when to stop.

    Attributes:
        verdict: what was known at the last look.
    """

    def __init__(self, rivals: Rivals, evidence: Evidence, rules: Rules) -> None:
        self.rivals, self.evidence, self.rules = rivals, evidence, rules
        self._rung: tuple[int, int, float] | None = None  # workload, study, s
        self._left: list[int] = []  # trials of it that have not been asked for
        self.look()

    def look(self) -> None:
        """Take in what has been shown."""
        self.verdict, self._enough = assess(self.rivals, self.evidence, self.rules)

    def ask(self, most: int = 1) -> list[Ask]:
        """Up to `most` trials to run next; none: enough is known.  Each must be shown before the
        next are asked for.
        """
        while True:
            found = self._of_rung(most)
            if found:
                return found
            if self._rung is not None and self.rules.halving:
                _drop_worse(self.rivals, self.evidence, *self._rung[:2])
            self.look()
            if self._enough:
                return []
            self._rung = next_rung(self.rivals, self.evidence)
            still = needed(self.rivals, self.evidence)[self._rung[0], self._rung[1]]
            self._left = [int(trial) for trial in np.flatnonzero(still)]

    def show(
        self,
        place: tuple[int, int, int],
        spent: float,
        reached: float = np.inf,
        over: bool = False,
        progress: float = -np.inf,
    ) -> None:
        """What a trial has shown when it was stopped.

        Args:
            place: (workload, study, trial).
            spent: s on its clock.
            reached: time to the validation target, s; inf: not reached.
            over: it cannot be continued.
            progress: its best metric, larger is better; -inf if it has none.
        """
        evidence = self.evidence
        evidence.spent[place], evidence.reached[place] = spent, reached
        evidence.over[place], evidence.progress[place] = over, progress

    def _of_rung(self, most: int) -> list[Ask]:
        found: list[Ask] = []
        while self._rung is not None and self._left and len(found) < most:
            workload, study, until = self._rung
            ask = Ask(workload, study, self._left.pop(0), min(until, self._limit(workload, study)))
            if self.evidence.spent[ask.place] < ask.until:
                found.append(ask)
        return found

    def _limit(self, workload: int, study: int) -> float:
        return float(limits(self.rivals, self.evidence)[workload, study])


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


def _drop_worse(rivals: Rivals, evidence: Evidence, workload: int, study: int) -> None:
    """Of the trials that would go on, the better half does, rounded up."""
    going = np.flatnonzero(needed(rivals, evidence)[workload, study])
    progress = evidence.progress[workload, study, going]
    going = going[np.argsort(-progress, kind="stable")]
    evidence.dropped[workload, study, going[(len(going) + 1) // 2 :]] = True
