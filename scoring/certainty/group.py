"""What does a group of submissions score, now and after a change?  Everything here scores again.

Shapes: any leading axes `...`, S submissions, W workloads, K studies, B scored workloads.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from scoring.certainty.ranks import ranks
from scoring.errors import RulesError
from scoring.held_out import apply_held_out
from scoring.logs.trial import Logs
from scoring.profile import ratios, scores
from scoring.rules.model import Rules
from scoring.times import TrialTimes, trial_times, workload_times

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Group:
    """Times of all trials of a group, the rules, and how it is scored.

    Attributes:
        best_trial: "time" or "reference", as in `TrialTimes.place`.
        integral: "exact" or "grid100", as in `scores`.
    """

    trials: TrialTimes
    rules: Rules
    best_trial: str = "time"
    integral: str = "exact"

    @classmethod
    def of(
        cls,
        logs: Logs,
        rules: Rules,
        clock: str = "seconds",
        best_trial: str = "time",
        integral: str = "exact",
    ) -> Group:
        """The group of all submissions in some logs."""
        return cls(trial_times(logs, rules, clock), rules, best_trial, integral)

    @property
    def names(self) -> tuple[str, ...]:
        """Submissions [S]."""
        return self.trials.submissions

    @cached_property
    def studies(self) -> Floats:
        """Times of studies [S, W, K]."""
        return self.trials.best(self.best_trial).seconds

    @cached_property
    def times(self) -> Floats:
        """Times of workloads before the rules of `apply_held_out` [S, W]."""
        return workload_times(self.studies)

    @cached_property
    def counted(self) -> Floats:
        """Times that count [S, B]; inf or nan elsewhere."""
        rules = self.rules
        return apply_held_out(self.times, rules.base_of, rules.scored, rules.exclusion)[0]

    @cached_property
    def scores(self) -> Floats:
        """Scores [S]."""
        return self.of_times(self.times)

    @cached_property
    def ranks(self) -> NDArray[np.int64]:
        """Ranks [S], 1 for the best."""
        return ranks(self.scores)

    def order(self) -> list[int]:
        """Submissions, the best first; equal ones by name."""
        return sorted(range(len(self.names)), key=lambda s: (self.ranks[s], self.names[s]))

    def of_studies(self, studies: Floats) -> Floats:
        """Scores [..., S] from times of studies [..., S, W, K]."""
        return self.of_times(workload_times(studies))

    def of_times(self, times: Floats) -> Floats:
        """Scores [..., S] from times of workloads [..., S, W]."""
        rules = self.rules
        counted = apply_held_out(times, rules.base_of, rules.scored, rules.exclusion)[0]
        return scores(ratios(counted), rules.tau_max, self.integral)

    def with_rules(self, rules: Rules) -> Group:
        """The same trials by other rules, which may have fewer workloads but no new targets."""
        if not rules.scored:
            raise RulesError("no workload is left to be scored; take fewer of them away")
        there = {name: place for place, name in enumerate(self.trials.workloads)}
        kept = [there[name] for name in rules.names]
        trials = replace(
            self.trials,
            workloads=rules.names,
            seconds=self.trials.seconds[:, kept],
            rows=self.trials.rows[:, kept],
            numbers=self.trials.numbers[:, kept],
        )
        return replace(self, trials=trials, rules=rules)

    def with_seconds(self, seconds: Floats) -> Group:
        """The same trials with other times [S, W, K, T]."""
        return replace(self, trials=replace(self.trials, seconds=seconds))

    def without(self, submission: str) -> Group:
        """The group without a submission: scores of the others can change."""
        kept = [s for s, name in enumerate(self.names) if name != submission]
        if not kept:
            raise RulesError("no submission is left to be scored; take fewer of them away")
        trials = replace(
            self.trials,
            submissions=tuple(self.names[s] for s in kept),
            seconds=self.trials.seconds[kept],
            rows=self.trials.rows[kept],
            numbers=self.trials.numbers[kept],
        )
        return replace(self, trials=trials)
