"""How far would scores and ranks move with another draw of studies?

The tables of `--bootstrap`: intervals, probability of each rank, who beats whom, and how many
studies it would take to tell two neighbours apart.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from scoring.certainty.group import Group
from scoring.certainty.intervals import LEVEL, Intervals, intervals, studies_to_separate
from scoring.certainty.resample import Plan, resampled_studies, resampled_trials
from scoring.certainty.table import Cell, Table
from scoring.errors import RulesError

Floats = NDArray[np.float64]


def resampled_scores(group: Group, plan: Plan) -> Floats:
    """Scores of resampled leaderboards [N, S].

    All submissions are drawn at once, each on its own: the fastest times move as well.

    Raises:
        RulesError: no resamples or no studies are asked for.
    """
    if plan.resamples < 1 or (plan.studies is not None and plan.studies < 1):
        raise RulesError(f"{plan.resamples} resamples of {plan.studies} studies; both start at 1")
    if plan.trials:
        place = group.trials.place(group.best_trial)
        drawn = resampled_trials(group.trials.seconds, place, plan)
    else:
        drawn = resampled_studies(group.studies, plan)
    return np.concatenate([group.of_studies(studies) for studies in drawn])


def tables(group: Group, plan: Plan, level: float = LEVEL) -> list[Table]:
    """The four tables of a bootstrap."""
    found = intervals(resampled_scores(group, plan), level)
    how = _how(group, plan)
    return [
        _intervals(group, found, level, how),
        _rank_probabilities(group, found, how),
        _pairs(group, found, how),
        _separation(group, plan, found, level),
    ]


def _how(group: Group, plan: Plan) -> str:
    drawn = plan.studies or len(group.trials.studies)
    what = f"{drawn} studies" + (" and their trials" if plan.trials else "")
    unit = "each with all its workloads" if plan.unit == "study" else "anew for every workload"
    return f"{plan.resamples} resamples of {what} ({unit}), seed {plan.seed}."


def _intervals(group: Group, found: Intervals, level: float, how: str) -> Table:
    ends = (f"{100 * level:g} % low", "high")
    rows: list[list[Cell]] = [
        [
            int(group.ranks[s]),
            group.names[s],
            *map(float, (group.scores[s], found.low[s], found.high[s])),
            *map(float, (found.mean[s], found.spread[s])),
            int(found.rank_low[s]),
            int(found.rank_high[s]),
            float(found.at_rank[s, 0]),
        ]
        for s in group.order()
    ]
    columns = ("rank", "submission", "score", *ends, "mean", "sd", "rank low", "high", "P(first)")
    notes = (how, "They cover another draw of studies: not of workloads, search points, machines.")
    return Table("bootstrap_intervals", "Scores with intervals", columns, rows, notes)


def _rank_probabilities(group: Group, found: Intervals, how: str) -> Table:
    order = group.order()
    rows: list[list[Cell]] = [[group.names[s], *map(float, found.at_rank[s])] for s in order]
    columns = ("submission", *(str(rank) for rank in range(1, len(order) + 1)))
    title = "Probability of each rank (equal scores share the better one)"
    return Table("bootstrap_ranks", title, columns, rows, (how,), digits=3)


def _pairs(group: Group, found: Intervals, how: str) -> Table:
    order = group.order()
    rows: list[list[Cell]] = [
        [group.names[a], *(None if a == b else float(found.beats[a, b]) for b in order)]
        for a in order
    ]
    names = [group.names[s] for s in order]
    heads = ("beats", *(name if len(name) < 12 else f"{name[:10]}.." for name in names))
    notes = (how, "Row beats column; what a pair lacks to 1 is the probability of equal scores.")
    title = "Probability that one has the higher score"
    return Table("bootstrap_pairs", title, ("beats", *names), rows, notes, 3, heads)


def _separation(group: Group, plan: Plan, found: Intervals, level: float) -> Table:
    order = group.order()
    drawn = plan.studies or len(group.trials.studies)
    rows: list[list[Cell]] = []
    for a, b in zip(order, order[1:]):
        gap, spread = float(group.scores[a] - group.scores[b]), found.spread_of_difference[a, b]
        needed = studies_to_separate(gap, float(spread), drawn, level)
        more = max(0.0, needed - drawn)
        numbers = (gap, float(spread), float(found.beats[a, b]))
        counts: list[Cell] = [int(x) if np.isfinite(x) else x for x in (needed, more)]
        rows.append([group.names[a], group.names[b], *numbers, *counts])
    columns = ("A", "B", "A - B", "sd", "P(A > B)", "studies needed", "more")
    notes = (
        f"Studies after which the {100 * level:g} % interval of A - B would leave out zero: "
        "n (z sd / (A - B))^2,",
        f"n = {drawn}: the variance falls as 1 / n, A - B is normal and stays as observed.",
    )
    title = "How many studies of each would tell neighbours apart?"
    return Table("bootstrap_separation", title, columns, rows, notes)
