"""Does the order hang on a single workload, or on who else takes part?

A base workload takes its held-out variant with it.  Without a submission, the others' scores can
change, because times are compared with the fastest one.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from scoring.certainty.group import Group
from scoring.certainty.ranks import largest_change, ranks, spearman
from scoring.certainty.table import Cell, Table

Floats = NDArray[np.float64]


def without_workloads(group: Group) -> dict[str, Floats]:
    """Scores [S] without each scored workload, by its name; {} if there is only one."""
    names = group.rules.names[: group.rules.scored]
    if len(names) < 2:
        return {}
    return {name: group.with_rules(group.rules.without(name)).scores for name in names}


def without_submissions(group: Group) -> dict[str, Floats]:
    """Scores [S] without each submission, by its name: nan for the one that is left out."""
    if len(group.names) < 2:
        return {}
    found = {}
    for s, name in enumerate(group.names):
        found[name] = np.insert(group.without(name).scores, s, np.nan)
    return found


def tables(group: Group) -> list[Table]:
    """Scores without each workload, without each submission, and what that does to ranks."""
    workloads, submissions = without_workloads(group), without_submissions(group)
    return [
        scores_table(group, "leave_one_workload_out", "Scores without one workload", workloads),
        _changes(group, "leave_one_workload_out_ranks", "workload", workloads),
        scores_table(group, "leave_one_submission_out", "Scores without one", submissions),
        _changes(group, "leave_one_submission_out_ranks", "submission", submissions),
    ]


def scores_table(
    group: Group, name: str, title: str, columns: Mapping[str, Floats], notes: tuple[str, ...] = ()
) -> Table:
    """A row for each submission, the best first: its score, then one for each change."""
    order = group.order()
    rows: list[list[Cell]] = [
        [group.names[s], float(group.scores[s]), *(float(c[s]) for c in columns.values())]
        for s in order
    ]
    heads = [head if len(head) < 14 else f"{head[:12]}.." for head in columns]
    first = ("submission", "score")
    return Table(name, title, (*first, *columns), rows, notes, 4, (*first, *heads))


def rank_row(group: Group, changed: Floats) -> list[Cell]:
    """First place, largest change of rank and rank correlation of changed scores [S].

    Ranks before are those among the submissions that are still there (not nan).
    """
    there = np.flatnonzero(~np.isnan(changed))
    names = [group.names[s] for s in there]
    before, after = ranks(group.scores[there]), ranks(changed[there])
    first = ", ".join(name for name, rank in zip(names, after) if rank == 1)
    who, old, new = largest_change(names, before, after)
    moved = int((before != after).sum())
    correlation = spearman(group.scores[there], changed[there])
    change: list[Cell] = ["nobody", None, None] if old == new else [who, old, new]
    return [first, moved, *change, correlation]


RANK_COLUMNS = ("first", "moved", "largest change", "rank before", "after", "Spearman")


def _changes(group: Group, name: str, what: str, columns: Mapping[str, Floats]) -> Table:
    rows = [[left_out, *rank_row(group, scores)] for left_out, scores in columns.items()]
    title = f"What a {what} that is left out does to ranks"
    return Table(name, title, (f"without {what}", *RANK_COLUMNS), rows, digits=3)
