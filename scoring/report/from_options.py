"""Which board does a command line ask for?"""

from __future__ import annotations

from argparse import Namespace

from scoring.certainty.group import Group
from scoring.certainty.resample import Plan
from scoring.logs.trial import Logs
from scoring.report.board import Board
from scoring.report.from_group import board_of
from scoring.rules.model import Rules

FOLDER = "scores"  # where files go without --out
RESAMPLES = 1000  # for intervals where --bootstrap does not say how many


def board_for(logs: Logs, rules: Rules, options: Namespace) -> Board:
    """The board with intervals: by time, best_trial, integral and the flags of --bootstrap."""
    clock = options.time or "seconds"
    group = Group.of(logs, rules, clock, options.best_trial, options.integral)
    resamples = RESAMPLES if options.bootstrap is None else options.bootstrap
    drawn = (options.resample, options.resample_trials, options.resample_studies)
    return board_of(group, clock, Plan(resamples, options.seed, *drawn))
