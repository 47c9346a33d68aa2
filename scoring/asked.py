"""What does a command line ask to be scored?  Each thing is computed once, when it is first needed:
the tables, the pictures and the page show the same group.
"""

from __future__ import annotations

from argparse import Namespace
from dataclasses import dataclass
from functools import cached_property

from scoring.certainty.group import Group
from scoring.certainty.resample import Plan
from scoring.errors import RulesError
from scoring.logs.trial import Logs
from scoring.report.board import Board
from scoring.report.from_group import board_of
from scoring.rules.model import Rules

FOLDER = "scores"  # where files go without --out
BASELINE = "baseline"  # what most groups call the submission to compare with
RESAMPLES = 1000  # for intervals where --bootstrap does not say how many


@dataclass(frozen=True)
class Asked:
    """Logs, rules, and the flags of the command line."""

    logs: Logs
    rules: Rules
    options: Namespace

    @property
    def clock(self) -> str:
        """What times are: "seconds" or "steps"."""
        return self.options.time or "seconds"

    @cached_property
    def group(self) -> Group:
        """The logs by the rules: by --time, --best-trial and --integral."""
        options = self.options
        return Group.of(self.logs, self.rules, self.clock, options.best_trial, options.integral)

    @property
    def baseline(self) -> str:
        """The submission to tell speed against: that of --baseline, else `baseline` if there is
        one and the clock is seconds, else none.

        Raises:
            RulesError: the one of --baseline is not there, or is not timed in seconds.
        """
        wanted, names = self.options.baseline, self.group.names
        if wanted is None:
            return BASELINE if BASELINE in names and self.clock == "seconds" else ""
        if wanted not in names:
            raise RulesError(f"--baseline {wanted!r}: expected one of {', '.join(names)}")
        if self.clock != "seconds":
            raise RulesError("--baseline with --time steps: a miss counts as a budget of seconds")
        return str(wanted)

    def plan(self, resamples: int) -> Plan:
        """How to resample, by the flags beside --bootstrap."""
        o = self.options
        return Plan(resamples, o.seed, o.resample, o.resample_trials, o.resample_studies)

    @cached_property
    def board(self) -> Board:
        """The group with intervals, for pictures, reports and the page."""
        resamples = self.options.bootstrap
        plan = self.plan(RESAMPLES if resamples is None else resamples)
        return board_of(self.group, self.clock, plan, self.baseline)
