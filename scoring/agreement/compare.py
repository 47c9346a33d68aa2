"""Do two groups order the submissions that they share alike?  Tables."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from scoring.agreement.rankings import SCORE, measured, of_resamples
from scoring.agreement.tau import by_chance, needed_tau, opposed, tau_b
from scoring.certainty.group import Group
from scoring.certainty.intervals import LEVEL, tails
from scoring.certainty.ranks import ranks
from scoring.certainty.resample import Plan
from scoring.certainty.table import Cell, Table

Floats = NDArray[np.float64]
_OTHER_SEED = 1  # added for the second group: its studies are drawn on their own


def pairs_of(first: Sequence[str], second: Sequence[str], suffix: str) -> list[tuple[str, str]]:
    """(measure of the first, of the second): the score, and workloads of one name, or of the same
    name but for the suffix.
    """
    bare = {name: name.removesuffix(suffix) for name in first}
    there = set(second)
    found = [(name, name if name in there else bare[name]) for name in first]
    return [(SCORE, SCORE), *((a, b) for a, b in found if b in there)]


def tables(first: Group, second: Group, plan: Plan, suffix: str) -> list[Table]:
    """Agreement by measure, the places in both, and pairs that changed them.

    Args:
        first, second: groups of the same submissions.
        suffix: what the first group's workloads have behind the names of the second's.
    """
    pairs = pairs_of(first.rules.names, second.rules.names, suffix)
    return [_taus(first, second, plan, pairs), _places(first, second), _moved(first, second)]


def _taus(first: Group, second: Group, plan: Plan, pairs: list[tuple[str, str]]) -> Table:
    other = Plan(plan.resamples, plan.seed + _OTHER_SEED, plan.unit)
    a, b = measured(first), measured(second)
    drawn_a, drawn_b = of_resamples(first, plan), of_resamples(second, other)
    rows: list[list[Cell]] = []
    for one, two in pairs:
        tau = float(tau_b(a[one], b[two]))
        low, high = interval(tau_b(drawn_a[one], drawn_b[two]))
        count = int((np.isfinite(a[one]) | np.isfinite(b[two])).sum())
        rows.append([one, two, tau, low, high, len(opposed(a[one], b[two])), count])
    things = len(first.names)
    ends = (f"{100 * LEVEL:g} % low", "high")
    columns = ("measure", "of the second", "tau-b", *ends, "opposed pairs", "reached by either")
    notes = (
        f"{things} submissions in common, scored among themselves; {plan.resamples} resamples of "
        f"the studies of both, seed {plan.seed}.",
        chance(float(tau_b(a[SCORE], b[SCORE])), things),
        "The interval covers another draw of studies, not other submissions; noise lowers tau.",
    )
    return Table("agreement", "Agreement of two orders", columns, rows, notes, digits=2)


def chance(tau: float, things: int) -> str:
    """How much of it a random order would have, as a sentence."""
    if np.isnan(tau):
        return "One of the orders tells nobody apart: there is no tau."
    least = needed_tau(things)
    reach = "no tau would" if np.isnan(least) else f"it takes {least:.2f} to"
    return (
        f"A random order of {things} has the score's tau or more with probability "
        f"{by_chance(things, tau):.3f}; {reach} exclude chance at 5 %."
    )


def interval(taus: Floats) -> tuple[float, float]:
    """The middle 95 % of resampled taus; nan ones (nobody told apart) do not count."""
    low, high = np.percentile(known(taus), tails())
    return float(low), float(high)


def known(taus: Floats) -> Floats:
    """Those that are not nan; a single nan if there are none."""
    found = taus[~np.isnan(taus)]
    return found if found.size else np.full(1, np.nan)


def _places(first: Group, second: Group) -> Table:
    placed = ranks(first.scores), ranks(second.scores)
    order = sorted(range(len(first.names)), key=lambda s: (placed[1][s], placed[0][s]))
    rows: list[list[Cell]] = [
        [
            first.names[s],
            int(placed[0][s]),
            int(placed[1][s]),
            float(first.scores[s]),
            float(second.scores[s]),
        ]
        for s in order
    ]
    columns = ("submission", "rank in the first", "in the second", "score", "score in the second")
    return Table("agreement_ranks", "Places in both", columns, rows)


def _moved(first: Group, second: Group) -> Table:
    a, b, names = first.scores, second.scores, first.names
    found = sorted(opposed(a, b), key=lambda pair: -abs(b[pair[0]] - b[pair[1]]))
    rows: list[list[Cell]] = [
        [names[i], names[j], float(a[i] - a[j]), float(b[j] - b[i])] for i, j in found
    ]
    columns = ("ahead in the first", "ahead in the second", "by, in the first", "in the second")
    note = f"{len(rows)} of {len(names) * (len(names) - 1) // 2} pairs, widest in the second first."
    return Table("agreement_pairs", "Pairs that changed places", columns, rows, (note,))
