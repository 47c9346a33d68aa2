"""How do scores depend on a number of the rules: tau_max, studies, targets, budgets?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from scoring.certainty.group import Group
from scoring.certainty.leave_one_out import RANK_COLUMNS, rank_row, scores_table
from scoring.certainty.table import Cell, Table
from scoring.errors import RulesError
from scoring.logs.trial import Logs
from scoring.rules.model import Rules, Workload
from scoring.times import trial_times

Floats = NDArray[np.float64]
TAUS = (1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 5.0, 6.0, 8.0, 10.0)
RELAXATIONS = tuple(percent / 100 for percent in range(21))
SHARES = tuple(percent / 100 for percent in range(100, 45, -5))


def by_tau_max(group: Group, taus: Sequence[float] = TAUS, tied: bool = False) -> dict[str, Floats]:
    """Scores [S] by tau_max; `tied`: times beyond tau_max (else beyond the rules' 4) are dropped.

    Raises:
        RulesError: a tau_max is not above 1.
    """
    found = {}
    for tau in taus:
        if not tau > 1:
            raise RulesError(f"tau_max is {tau:g}; profiles begin at 1, so that it must be above 1")
        exclusion = tau if tied else group.rules.exclusion
        rules = replace(group.rules, tau_max=tau, exclusion=exclusion)
        found[f"{tau:g}"] = replace(group, rules=rules).scores
    return found


def by_first_studies(group: Group) -> dict[str, Floats]:
    """Scores [S] of the first k studies, by k."""
    studies = group.studies
    return {str(k): group.of_studies(studies[..., :k]) for k in range(1, studies.shape[-1] + 1)}


def by_subsets(group: Group, k: int, most: int = 1000) -> Floats:
    """Scores [subsets, S] of subsets of k studies, the same ones for all; the first `most`, or
    fewer where there are hundreds of studies."""
    total = range(group.studies.shape[-1])
    most = min(most, max(1, 100_000 // len(total)))
    subsets = [subset for subset, _ in zip(combinations(total, k), range(most))]
    return np.stack([group.of_studies(group.studies[..., list(subset)]) for subset in subsets])


def relaxed(workload: Workload, share: float) -> Workload:
    """With a target that is easier by a share: a loss 1 + share times as high, an accuracy less."""
    factor = 1 + share if workload.goal == "min" else 1 - share
    return replace(workload, target=workload.target * factor)


def by_relaxation(
    logs: Logs, group: Group, clock: str, shares: Sequence[float] = RELAXATIONS
) -> dict[str, Group]:
    """Groups with all targets easier by a share, by per cent."""
    found = {}
    for share in shares:
        workloads = tuple(relaxed(workload, share) for workload in group.rules.workloads)
        rules = replace(group.rules, workloads=workloads)
        changed = replace(group, trials=trial_times(logs, rules, clock), rules=rules)
        found[f"{100 * share:g} %"] = changed
    return found


def cut(seconds: Floats, timed: Floats, rules: Rules) -> Floats:
    """Times [S, W, K, T] where a hit beyond the budgets of the rules is a miss.

    `timed`: seconds of the hits, which are `seconds` themselves unless the clock is steps.
    """
    budgets = np.array([workload.budget for workload in rules.workloads])[:, None, None]
    return np.where(timed > budgets, np.inf, seconds)


def by_budget(
    logs: Logs, group: Group, clock: str, shares: Sequence[float] = SHARES
) -> dict[str, Group]:
    """Groups with all budgets shortened to a share, by per cent.  Longer ones cannot be known."""
    timed = trial_times(logs, group.rules, "seconds").seconds
    found = {}
    for share in shares:
        workloads = tuple(replace(w, budget=w.budget * share) for w in group.rules.workloads)
        rules = replace(group.rules, workloads=workloads)
        seconds = cut(group.trials.seconds, timed, rules)
        found[f"{100 * share:g} %"] = replace(group.with_seconds(seconds), rules=rules)
    return found


def tau_tables(group: Group) -> list[Table]:
    """Scores by tau_max, with the rule on slow times as it is and tied to tau_max."""
    fixed = f"Times over {group.rules.exclusion:g} times the fastest are dropped at every tau_max."
    tied = "Times over tau_max times the fastest are dropped."
    swept, swept_tied = by_tau_max(group), by_tau_max(group, tied=True)
    return [
        scores_table(group, "tau_max", "Scores by tau_max", swept, (fixed,)),
        scores_table(group, "tau_max_tied", "Scores by tau_max, tied", swept_tied, (tied,)),
    ]


def study_tables(group: Group) -> list[Table]:
    """Scores of the first k studies, and their spread over all subsets of k."""
    first = by_first_studies(group)
    note = "Of an even number, the median is the mean of two: one miss more makes it a miss."
    spread: dict[str, Floats] = {}
    for k in range(1, group.studies.shape[-1]):
        scores = by_subsets(group, k)
        spread |= {f"{k} least": scores.min(0), f"{k} most": scores.max(0)}
    return [
        scores_table(group, "first_studies", "Scores of the first k studies", first, (note,)),
        scores_table(group, "subsets_of_studies", "Scores over all subsets of k studies", spread),
    ]


def group_tables(group: Group, found: dict[str, Group], name: str, title: str) -> list[Table]:
    """Scores, then ranks and the number of times reached, of changed groups by what changed."""
    scores = {key: changed.scores for key, changed in found.items()}
    rows: list[list[Cell]] = [
        [key, int(np.isfinite(changed.times).sum()), *rank_row(group, changed.scores)]
        for key, changed in found.items()
    ]
    columns = (title, "times reached", *RANK_COLUMNS)
    return [
        scores_table(group, name, f"Scores by {title}", scores),
        Table(f"{name}_ranks", f"Ranks by {title}", columns, rows, digits=3),
    ]
