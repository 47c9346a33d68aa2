"""Would one group order its submissions alike with other seeds?  Tables.

A study is a repetition with other seeds, so the orders of two single studies differ by chance
alone: tau between them is what no proxy of so few studies can exceed.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from scoring.agreement.compare import interval, known
from scoring.agreement.rankings import SCORE, Single, measured, of_resamples, of_studies
from scoring.agreement.tau import mutual, tau_b
from scoring.certainty.group import Group
from scoring.certainty.intervals import LEVEL
from scoring.certainty.ranks import ranks
from scoring.certainty.resample import Plan
from scoring.certainty.table import Cell, Table

Floats = NDArray[np.float64]


def tables(group: Group, plan: Plan) -> list[Table]:
    """Places by score and on each workload, and how stable they are."""
    return [places(group), stability(group, plan)]


def places(group: Group) -> Table:
    """Rank by score and on each workload; with the scores, best first."""
    names = group.rules.names
    values = measured(group)
    by_workload = [ranks(values[name]) for name in names]
    rows: list[list[Cell]] = [
        [
            group.names[s],
            float(group.scores[s]),
            int(group.ranks[s]),
            *(_place(placed[s], group.times[s, w]) for w, placed in enumerate(by_workload)),
        ]
        for s in group.order()
    ]
    columns = ("submission", "score", "rank", *names)
    notes = (
        f"Of {len(group.trials.studies)} studies: a workload's rank is by the median time, which "
        "stands in brackets; missed: in half of the studies or more.",
    )
    return Table("stability_ranks", "Places by score and workload", columns, rows, notes, digits=3)


def _place(place: int, time: float) -> str:
    if np.isnan(time):
        return "-"
    return f"{place} ({time:g})" if np.isfinite(time) else "missed"


def stability(group: Group, plan: Plan) -> Table:
    """tau-b between single studies, of a study with all, and of resamples with what was found."""
    single, whole, drawn = of_studies(group), measured(group), of_resamples(group, plan)
    rows = [
        _row(name, single, tau_b(drawn[name], whole[name][None]), whole[name])
        for name in (SCORE, *group.rules.names)
    ]
    ends = (f"{100 * LEVEL:g} % low", "high")
    columns = ("measure", "studies", "between two", "least", "most", "with all", *ends)
    left = f"  Left out of the score, being incomplete: {', '.join(single.left_out)}."
    notes = (
        "between two: mean tau-b over pairs of single studies; with all: of a study with the order "
        "of all.",
        f"The interval: tau-b of {plan.resamples} resamples of the studies with the order of all, "
        f"seed {plan.seed}.{left if single.left_out else ''}",
    )
    return Table("stability", "How alike are the orders of studies?", columns, rows, notes, 2)


def _row(name: str, single: Single, drawn: Floats, whole: Floats) -> list[Cell]:
    values = single.values[name]
    between, with_all = known(mutual(values)), known(tau_b(values, whole[None]))
    ends = (between.mean(), between.min(), between.max(), with_all.mean())
    return [name, len(values), *map(float, ends), *interval(drawn)]
