"""Where would these submissions stand among published ones?  `--against 0.6`."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from scoring.against.hardware import hardware_of, refuse
from scoring.against.published import published, together
from scoring.certainty.group import Group
from scoring.certainty.table import Table
from scoring.errors import RulesError
from scoring.logs.trial import Logs
from scoring.report.from_group import board_of
from scoring.rules.model import Rules
from scoring.tables import as_reference, leaderboard, shown_times
from scoring.times import trial_times

ALONE = (  # flags that ask the logs of every submission
    *("bootstrap", "sure", "pictures", "html", "tables", "baseline"),
    *("target", "relax", "budget", "exclude"),
)


def add_flags(parser: ArgumentParser) -> None:
    """Adds --against and what is said of hardware."""
    group = parser.add_argument_group("against published submissions")
    group.add_argument("--against", metavar="VERSION", help="place the logs among published times")
    group.add_argument(
        "--hardware", metavar="CLASS", help="what the logs were run on, e.g. 8xV100-16GB"
    )
    group.add_argument(
        "--other-hardware", action="store_true", help="compare steps: the hardware differs"
    )


def place(logs: Logs, rules: Rules, options: Namespace) -> Table:
    """The leaderboard of both groups; with --out also their times, as csv.

    Raises:
        RulesError: other rules, other hardware, or flags that need logs of all submissions.
    """
    _sensible(rules, options)
    names = rules.names
    others = published(options.against, rules.ruleset, names)
    found = (options.hardware,) if options.hardware else hardware_of(logs)
    clock = "steps" if options.other_hardware else options.time
    if clock == "seconds":
        refuse(found, others.hardware)
    own = trial_times(logs, rules, clock)
    theirs = others.seconds if clock == "seconds" else others.steps
    trials = together(own, theirs, f"({options.against.removeprefix('v')})")
    group = Group(trials, rules, options.best_trial, options.integral)
    board = board_of(group, clock)
    by = f"by {clock} to target; own logs: {', '.join(found)}; published: {others.hardware}"
    steps = "; steps of different batch sizes are not the same work" if clock == "steps" else ""
    note = f"{by}{steps}; published: {others.source}"
    table = leaderboard(board, as_reference(group), note)
    if options.out:
        for one in (table, shown_times(board)):
            one.write(Path(options.out))
    return table


def _sensible(rules: Rules, options: Namespace) -> None:
    if options.against.removeprefix("v") != rules.version:
        raise RulesError(
            f"--against {options.against} with --rules {rules.version}: targets must be the same; "
            f"leave --rules away"
        )
    given = [name for name in ALONE if getattr(options, name) not in (None, False, [])]
    if given:
        raise RulesError(
            f"--{given[0]} needs the logs of all submissions, --against has times alone; give the "
            "public logs as further LOGS instead"
        )
