"""Which single time, if it were reached or missed, would change the ranking?

One workload is worth up to 1 / B of a score, so that one near miss can decide a place.  Every time
of the table is changed alone: a time that counts becomes a miss; a miss becomes a hit at the end
of the budget (the least that it could gain), and one as fast as the fastest (the most).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scoring.certainty.group import Group
from scoring.certainty.ranks import ranks
from scoring.certainty.table import Cell, Table

Floats = NDArray[np.float64]
AT_A_TIME = 256  # tables scored at once


@dataclass(frozen=True)
class Change:
    """One cell [s, w] that gets another time (seconds; inf: missed); `what` in words."""

    submission: int
    workload: int
    seconds: float
    what: str


def changes(group: Group, budgets: bool = True) -> Iterator[Change]:
    """All changes of one cell; `budgets`: the clock is seconds, so that a budget is a time."""
    for s, w in np.ndindex(*group.times.shape):
        if np.isfinite(group.times[s, w]):
            yield Change(s, w, np.inf, "missed")
            continue
        others = group.times[:, w][np.isfinite(group.times[:, w])]
        if budgets:
            yield Change(s, w, group.rules.workloads[w].budget, "reached at the end")
        if others.size:
            yield Change(s, w, float(others.min()), "as fast as the fastest")


def changed_scores(group: Group, found: list[Change]) -> Floats:
    """Scores [changes, S]."""
    blocks = []
    for start in range(0, len(found), AT_A_TIME):
        block = found[start : start + AT_A_TIME]
        tables = np.repeat(group.times[None], len(block), axis=0)
        for table, change in zip(tables, block):
            table[change.submission, change.workload] = change.seconds
        blocks.append(group.of_times(tables))
    return np.concatenate(blocks) if blocks else np.empty((0, len(group.names)))


def table(group: Group, budgets: bool = True) -> Table:
    """The changes that move somebody's rank, those that change the first place first."""
    found = list(changes(group, budgets))
    scores = changed_scores(group, found)
    placed = ranks(scores)
    moved = (placed != group.ranks).sum(-1)
    leader = ((placed == 1) != (group.ranks == 1)).any(-1)
    order = sorted(np.flatnonzero(moved), key=lambda i: (not leader[i], -moved[i]))
    rows: list[list[Cell]] = []
    for i in order:
        change, s = found[i], found[i].submission
        first = ", ".join(n for n, rank in zip(group.names, placed[i]) if rank == 1)
        rows.append(
            [
                group.names[s],
                group.rules.names[change.workload],
                change.what,
                float(group.scores[s]),
                float(scores[i, s]),
                int(group.ranks[s]),
                int(placed[i, s]),
                int(moved[i]),
                first,
            ]
        )
    columns = ("submission", "workload", "if it were", "score", "then", "rank", "then ", "moved")
    notes = (f"{len(rows)} of {len(found)} changes of one time move a rank.",)
    title = "Single times that decide places"
    return Table("single_cells", title, (*columns, "first then"), rows, notes)
