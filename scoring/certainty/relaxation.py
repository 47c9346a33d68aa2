"""Whose target decides?  Every workload's target made easier alone, the others as they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from scoring.certainty.group import Group
from scoring.certainty.ranks import ranks
from scoring.certainty.table import Cell, Table

SHOWN = ("0 %", "1 %", "5 %", "10 %", "20 %")  # at which the times reached are told


def alone(group: Group, all_relaxed: Mapping[str, Group], w: int) -> dict[str, Group]:
    """Groups with the target of workload `w` alone easier, by per cent.

    Args:
        all_relaxed: groups with all targets easier, as `sweeps.by_relaxation` gives them.
    """
    found = {}
    for share, other in all_relaxed.items():
        seconds, rows = group.trials.seconds.copy(), group.trials.rows.copy()
        seconds[:, w], rows[:, w] = other.trials.seconds[:, w], other.trials.rows[:, w]
        workloads = list(group.rules.workloads)
        workloads[w] = other.rules.workloads[w]
        found[share] = replace(
            group,
            trials=replace(group.trials, seconds=seconds, rows=rows),
            rules=replace(group.rules, workloads=tuple(workloads)),
        )
    return found


def table(group: Group, all_relaxed: Mapping[str, Group]) -> Table:
    """A row for each workload: submissions that reach it, and when ranks and the first move."""
    shown = [share for share in SHOWN if share in all_relaxed]
    rows: list[list[Cell]] = []
    for w, workload in enumerate(group.rules.workloads):
        changed = alone(group, all_relaxed, w)
        reached: list[Cell] = [int(np.isfinite(changed[s].times[:, w]).sum()) for s in shown]
        placed = {share: ranks(other.scores) for share, other in changed.items()}
        moved = [share for share, places in placed.items() if (places != group.ranks).any()]
        led = [s for s, places in placed.items() if ((places == 1) != (group.ranks == 1)).any()]
        most = max(float(np.abs(other.scores - group.scores).max()) for other in changed.values())
        rows.append([workload.name, *reached, _first(moved), _first(led), most])
    columns = ("workload", *(f"reached at {share}" for share in shown))
    last = ("other ranks from", "another first from", "most change of a score")
    heads = ("workload", *(f"at {share}" for share in shown), "other ranks", "first", "most")
    notes = (
        "Submissions that reach it; from which per cent on ranks move, another is first; the most",
        "that a score changes.  --relax WORKLOAD=PERCENT shows the scores.",
    )
    title = "One target easier, the others as they are"
    return Table("relaxed_alone", title, (*columns, *last), rows, notes, heads=heads)


def _first(shares: list[str]) -> str:
    return shares[0] if shares else "never"
