"""The part of the command line that says how sure a leaderboard is: `--bootstrap`, `--sure`."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Iterator
from pathlib import Path

from scoring.asked import Asked
from scoring.certainty import (
    bootstrap,
    cells,
    eval_period,
    leave_one_out,
    relaxation,
    sweeps,
    transfer,
)
from scoring.certainty.group import Group
from scoring.certainty.head_to_head import fastest, head_to_head
from scoring.certainty.resample import UNITS
from scoring.certainty.table import Table
from scoring.certainty.what_if import Changes, assignments, changed_group, table
from scoring.hardware import cli as hardware
from scoring.logs.trial import Logs

SEED = 0
QUESTIONS = {
    "leave-one-out": "without each workload, without each submission",
    "tau-max": "by tau_max, the rule on slow times fixed and tied to it",
    "studies": "by the number of studies: the first k, all subsets of k",
    "relax": "with targets 0 to 20 per cent easier, all and each alone",
    "budgets": "with budgets down to half; longer ones cannot be known",
    "eval-period": "with targets noticed between two evaluations",
    "transfer": "from validation to test targets",
    "cells": "single times that decide places",
    "head-to-head": "how many workloads each wins against each other",
}


def add_flags(parser: ArgumentParser) -> None:
    """Adds --bootstrap and its settings, --sure, and the what-if flags."""
    sure = parser.add_argument_group("how sure")
    sure.add_argument("--bootstrap", type=int, metavar="N", help="intervals from N resamples")
    sure.add_argument("--seed", type=int, default=SEED, help=f"of the resamples (default {SEED})")
    sure.add_argument(
        "--resample", choices=UNITS, default="study", help="draw whole studies, or per workload"
    )
    sure.add_argument(
        "--resample-trials", action="store_true", help="draw the trials of each study as well"
    )
    sure.add_argument(
        "--resample-studies", type=int, metavar="K", help="draw K studies (default: all there are)"
    )
    questions = "; ".join(f"{name}: {text}" for name, text in QUESTIONS.items())
    sure.add_argument(
        "--sure",
        nargs="*",
        choices=tuple(QUESTIONS),
        metavar="QUESTION",
        help=f"tables of all of these, or of some. {questions}",
    )
    what_if = parser.add_argument_group("what if (a table of its own; the leaderboard stays)")
    what_if.add_argument("--target", action="append", default=[], metavar="WORKLOAD=VALUE")
    what_if.add_argument(
        "--relax",
        action="append",
        default=[],
        metavar="WORKLOAD=PERCENT",
        help="a target easier by so many per cent: a loss higher, an accuracy lower",
    )
    what_if.add_argument(
        "--budget",
        action="append",
        default=[],
        metavar="WORKLOAD=SECONDS",
        help="a shorter budget; a longer one cannot be answered from logs",
    )
    what_if.add_argument(
        "--exclude", action="append", default=[], metavar="NAME", help="a workload or a submission"
    )


def run(asked: Asked) -> list[Path]:
    """Prints the tables asked for, writes them as csv with --out, and returns the files."""
    written = []
    for found in hardware.marked(asked_for(asked), asked.rules):
        print(f"\n{found.text()}", end="")
        if asked.options.out:
            written.append(found.write(Path(asked.options.out)))
    return written


def asked_for(asked: Asked) -> Iterator[Table]:
    """The tables, one after the other."""
    options = asked.options
    changes = Changes(
        assignments(options.target, "--target"),
        assignments(options.budget, "--budget"),
        tuple(options.exclude),
        relax=assignments(options.relax, "--relax"),
    )
    if options.bootstrap is None and options.sure is None and not changes:
        return
    logs, group, clock = asked.logs, asked.group, asked.clock
    if options.bootstrap is not None:
        yield from bootstrap.tables(group, asked.plan(options.bootstrap))
    if options.sure is not None:
        for question in options.sure or QUESTIONS:
            yield from _answer(question, logs, group, clock)
    if changes:
        yield table(group, changed_group(logs, group, changes, clock), changes)


def _answer(question: str, logs: Logs, group: Group, clock: str) -> list[Table]:
    scored = group.rules.names[: group.rules.scored]
    match question:
        case "leave-one-out":
            return leave_one_out.tables(group)
        case "tau-max":
            return sweeps.tau_tables(group)
        case "studies":
            return sweeps.study_tables(group)
        case "relax":
            found = sweeps.by_relaxation(logs, group, clock)
            tables = sweeps.group_tables(group, found, "relaxed", "easier targets")
            return [*tables, relaxation.table(group, found)]
        case "budgets":
            found = sweeps.by_budget(logs, group, clock)
            return sweeps.group_tables(group, found, "shorter", "share of the budget")
        case "eval-period":
            return eval_period.tables(logs, group, clock)
        case "transfer":
            return transfer.tables(logs, group, clock)
        case "cells":
            return [cells.table(group, clock == "seconds")]
        case _:
            order = group.order()
            pairs = head_to_head(group.names, order, group.counted)
            return [fastest(group.names, scored, group.counted), pairs]
