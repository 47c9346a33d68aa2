"""`python -m scoring LOGS --rules 0.5`: logs in, a leaderboard out.

Exit codes: 0 scored; 1 scored, but without files that could not be read; 2 a flag or the rules make
no sense; 3 --strict, and the logs are not what the rules ask for; 4 nothing in the logs to score.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from scoring.asked import Asked
from scoring.certainty import cli as certainty
from scoring.certainty.table import shown
from scoring.check import DIFFERS, compare, refuse
from scoring.errors import RulesError, ScoringError
from scoring.hardware import cli as hardware
from scoring.logs.read import read_logs
from scoring.logs.trial import Finding, Logs
from scoring.pictures import cli as pictures
from scoring.place import add_flags as add_place_flags
from scoring.place import place
from scoring.report import cli as report
from scoring.report.from_group import board_of
from scoring.rules.load import FILES, RULESETS, load_rules
from scoring.rules.model import Rules
from scoring.tables import as_reference, csv_tables, leaderboard, shown_times, speeds, write_all
from scoring.times import BEST_TRIAL

SHOWN = 5  # unreadable files named on the terminal


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    options = parser().parse_args(arguments)
    try:
        return _run(options)
    except ScoringError as error:
        _say(str(error))
        return error.code
    except BrokenPipeError:  # `| head` has seen enough
        sys.stderr.close()
        return 0
    except OSError as error:
        _say(f"{error.filename}: {error.strerror}; --out names a folder that can be written")
        return ScoringError.code


def parser() -> ArgumentParser:
    """All flags."""
    made = ArgumentParser(prog="python -m scoring", description=(__doc__ or "").split("\n\n")[0])
    made.add_argument("logs", nargs="+", metavar="LOGS", help="folders of submissions, or one")
    made.add_argument("--rules", metavar="VERSION", help=f"one of {', '.join(FILES)}")
    made.add_argument("--ruleset", choices=RULESETS, default="external")
    made.add_argument("--strict", action="store_true", help="refuse logs the rules do not ask for")
    made.add_argument("--best-trial", choices=BEST_TRIAL, default="time", help="of a study")
    made.add_argument("--integral", choices=("exact", "grid100"), default="exact")
    made.add_argument("--time", choices=("seconds", "steps"), default="seconds", help="the clock")
    made.add_argument("--tau-max", type=float, metavar="TAU", help="where profiles end (default 4)")
    made.add_argument("--qualification", action="store_true", help="the rules' cheaper set alone")
    made.add_argument("--no-held-out", action="store_true", help="score base workloads alone")
    made.add_argument("--baseline", metavar="NAME", help="print speed against this submission")
    made.add_argument("--times", action="store_true", help="print times to target as well")
    made.add_argument("--out", metavar="DIR", help="write all tables as csv (and pictures, page)")
    made.add_argument("--teams", action="store_true", help="a level of teams is above submissions")
    made.add_argument("--only", nargs="+", metavar="NAME", help="score these submissions alone")
    made.add_argument("--skip", action="append", default=[], metavar="FOLDER", help="leave out")
    add_place_flags(made)
    hardware.add_flags(made)
    certainty.add_flags(made)
    pictures.add_flags(made)
    report.add_flags(made)
    return made


def _run(options: Namespace) -> int:
    logs = _chosen(read_logs(options.logs, options.teams, options.skip), options.only)
    logs, rules = hardware.one_class(logs, _rules(options, logs), options)
    findings = [*logs.findings, *compare(logs, rules)]
    if options.strict:
        refuse(findings)
    if options.against:
        print(place(logs, rules, options).text(), end="")
    else:
        _score(replace(logs, findings=tuple(findings)), rules, options)
    return _tell(findings, options)


def _rules(options: Namespace, logs: Logs) -> Rules:
    version = options.rules or options.against
    if not version:
        raise RulesError(f"by which rules? Give --rules VERSION, one of {', '.join(FILES)}")
    rules = load_rules(version, options.ruleset, logs)
    if options.no_held_out:
        rules = rules.without_held_out()
    if options.qualification:
        rules = rules.only_qualification()
    if options.tau_max is not None:
        if not 1 < options.tau_max < 1e6:
            raise RulesError(f"--tau-max {options.tau_max:g}: expected a number above 1")
        change = f"tau_max {options.tau_max:g}"
        rules = replace(rules, tau_max=options.tau_max, changes=(*rules.changes, change))
    if not any(trial.workload in rules.names for trial in logs.trials):
        there = sorted({trial.workload for trial in logs.trials})
        raise RulesError(
            f"none of the workloads of {rules.title} is in the logs, which hold "
            f"{', '.join(there[:10])}; --rules development scores workloads of one's own"
        )
    return rules


def _chosen(logs: Logs, names: Sequence[str] | None) -> Logs:
    if names is None:
        return logs
    unknown = sorted(set(names) - set(logs.submissions))
    if unknown:
        there = ", ".join(logs.submissions)
        raise RulesError(f"--only {unknown[0]!r}: no such submission; there are {there}")
    return logs.only(frozenset(names))


def _score(logs: Logs, rules: Rules, options: Namespace) -> None:
    """Print the leaderboard and what else was asked for; write files."""
    asked = Asked(logs, rules, options)
    group = asked.group
    board = board_of(group, asked.clock, baseline=asked.baseline)
    first = leaderboard(board, as_reference(group), "; ".join(rules.changes))
    print(first.text(), end="")
    if options.times:
        print(f"\n{shown_times(board).text()}", end="")
    if options.baseline and board.speed:
        print(f"\n{speeds(board, board.speed).text()}", end="")
    written = []
    if options.out:
        found = csv_tables(logs, group, board, first, logs.findings)
        written += write_all(hardware.marked(found, rules), Path(options.out))
    for part in (certainty, pictures, report):
        written += part.run(asked)
    if written:
        print(f"\nwrote {len(written)} files, e.g. {written[0]}")


def _tell(findings: Sequence[Finding], options: Namespace) -> int:
    """Say on stderr what the scores may depend on; 1 if files could not be read."""
    unreadable = [f for f in findings if f.kind == "unreadable"]
    counts = {
        "trials without evaluations": sum(f.kind == "missing" for f in findings),
        "folders outside the layout": sum(f.kind == "ignored" for f in findings),
        "differences from the rules": sum(f.kind == DIFFERS for f in findings),
        "oddities": sum(f.kind == "noted" for f in findings),
    }
    told = [f"{count} {what}" for what, count in counts.items() if count]
    where = f"{options.out}/findings.csv" if options.out else "--out DIR lists them"
    if told:
        _say(f"{', '.join(told)} ({where})")
    for finding in unreadable[:SHOWN]:
        _say(f"left out, unreadable: {finding.path}: {finding.text}")
    if unreadable:
        count = f"{len(unreadable)} could not be read"
        _say(f"{count}; the scores may depend on them (exit code 1)")
    return 1 if unreadable else 0


def _say(text: str) -> None:
    """A message; names of folders may hold what a terminal would obey."""
    lines = "\n".join(shown(line, 0) for line in text.split("\n"))
    print(f"scoring: {lines}", file=sys.stderr)
