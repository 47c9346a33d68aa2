"""python -m scoring.agreement A [B]: how alike are the orders of two sets of logs, or of one's
studies?

Exit codes: 0; 2 a flag or the rules make no sense; 4 nothing in the logs to compare.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path

from scoring.agreement import compare, stability
from scoring.certainty.group import Group
from scoring.certainty.resample import Plan
from scoring.certainty.table import Table, shown
from scoring.errors import LogsError, RulesError, ScoringError
from scoring.logs.read import read_logs
from scoring.logs.trial import Logs
from scoring.rules.load import FILES, RULESETS, load_rules
from scoring.times import CLOCKS

RESAMPLES = 1000


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    options = parser().parse_args(arguments)
    try:
        for table in _tables(options):
            print(f"{table.text()}")
            if options.out:
                table.write(options.out)
    except ScoringError as error:
        print(f"scoring.agreement: {shown(str(error), 0)}", file=sys.stderr)
        return error.code
    except BrokenPipeError:
        sys.stderr.close()
    except OSError as error:
        print(f"scoring.agreement: {error.filename}: {error.strerror}", file=sys.stderr)
        return ScoringError.code
    return 0


def parser() -> ArgumentParser:
    """All flags."""
    made = ArgumentParser(
        prog="python -m scoring.agreement", description=(__doc__ or "").split("\n\n")[0]
    )
    made.add_argument("first", metavar="A", help="folder of submissions, e.g. of a proxy")
    made.add_argument("second", nargs="?", metavar="B", help="another; without: A's own studies")
    for one in "ab":
        made.add_argument(
            f"--rules-{one}",
            default="development",
            metavar="VERSION",
            help=f"of {one.upper()}, one of {', '.join(FILES)} (default development)",
        )
    made.add_argument("--ruleset", choices=RULESETS, default="external")
    made.add_argument("--time", choices=CLOCKS, default="seconds", help="the clock of both")
    made.add_argument("--suffix", default="_proxy", help="A's workloads are B's and this suffix")
    made.add_argument("--resamples", type=int, default=RESAMPLES, help="of studies")
    made.add_argument("--seed", type=int, default=0, help="of the resamples")
    made.add_argument("--out", type=Path, metavar="DIR", help="write the tables as csv")
    return made


def _tables(options: Namespace) -> list[Table]:
    if options.resamples < 1 or options.seed < 0:
        raise RulesError(
            f"--resamples {options.resamples} --seed {options.seed}: expected at least 1, and 0"
        )
    plan = Plan(options.resamples, options.seed)
    first = read_logs([options.first])
    if options.second is None:
        return stability.tables(_group(first, options.rules_a, options), plan)
    second = read_logs([options.second])
    common = frozenset(first.submissions) & frozenset(second.submissions)
    if len(common) < 2:
        raise LogsError(
            f"{len(common)} submissions are in both; an order takes two.  {options.first} has "
            f"{_some(first)}; {options.second} has {_some(second)}"
        )
    a = _group(first.only(common), options.rules_a, options)
    b = _group(second.only(common), options.rules_b, options)
    return compare.tables(a, b, plan, options.suffix)


def _group(logs: Logs, version: str, options: Namespace) -> Group:
    """The logs by their rules, base workloads alone."""
    rules = load_rules(version, options.ruleset, logs).without_held_out()
    if not any(trial.workload in rules.names for trial in logs.trials):
        there = ", ".join(sorted({trial.workload for trial in logs.trials})[:10]) or "no trials"
        raise LogsError(f"no workload of {rules.title} is in the logs, which hold {there}")
    return Group.of(logs, rules, options.time)


def _some(logs: Logs) -> str:
    return ", ".join(logs.submissions[:5]) or "none"


if __name__ == "__main__":
    sys.exit(main())
