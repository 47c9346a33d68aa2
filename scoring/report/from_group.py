"""How does a scored group become a board?  Times, reasons, ratios and scores, with intervals."""

from __future__ import annotations

import numpy as np

from scoring.certainty.bootstrap import resampled_scores
from scoring.certainty.group import Group
from scoring.certainty.intervals import LEVEL, intervals
from scoring.certainty.resample import Plan
from scoring.held_out import (
    BASE_FAILED,
    COUNTS,
    HELD_OUT_FAILED,
    MISSING,
    NOT_REACHED,
    OVER,
    apply_held_out,
)
from scoring.profile import ratios
from scoring.report.board import Board
from scoring.rules.model import Rules
from scoring.speedups import HOW, Speedups, speedups

REASONS = {
    COUNTS: "",
    NOT_REACHED: "target_not_reached",
    MISSING: "missing",
    OVER: "over_4x",
    BASE_FAILED: "base_not_finite",
    HELD_OUT_FAILED: "held_out_failed",
}
BEST_TRIAL = {
    "time": "the first to reach the target",
    "reference": "the one with the fewest evaluations up to the target, as AlgoPerf's code has it",
}
INTEGRAL = {"exact": "exact", "grid100": "100 values of tau, as AlgoPerf's code has it"}


def board_of(
    group: Group, clock: str = "seconds", plan: Plan | None = None, baseline: str = ""
) -> Board:
    """The board of a group.

    Args:
        clock: what the group's times are: "seconds" or "steps".
        plan: how to resample for intervals; None: without intervals.
        baseline: a submission to tell speed against, in seconds; "": none.
    """
    rules, best = group.rules, group.trials.best(group.best_trial)
    why = apply_held_out(group.times, rules.base_of, rules.scored, rules.exclusion)[1]
    found = intervals(resampled_scores(group, plan)) if plan else None
    return Board(
        title=rules.title,
        submissions=group.names,
        workloads=rules.workloads,
        times=group.times,
        reasons=tuple(_named(row, rules) for row in why.tolist()),
        ratios=ratios(group.counted),
        scores=group.scores,
        ranks=group.ranks,
        tau_max=rules.tau_max,
        factor=rules.exclusion,
        timed=clock == "seconds",
        studies=best.studies,
        study_times=best.seconds,
        study_trials=best.trials,
        integral=group.integral,
        low=found.low if found else None,
        high=found.high if found else None,
        level=LEVEL,
        facts=_facts(group, clock, plan, baseline),
        hardware_mark=rules.hardware_mark,
        baseline=baseline,
        speed=_speed(group, baseline) if baseline else None,
    )


def _speed(group: Group, baseline: str) -> Speedups:
    scored = group.rules.scored
    budgets = np.array([workload.budget for workload in group.rules.workloads[:scored]])
    return speedups(group.times[:, :scored], budgets, group.names.index(baseline))


def _named(codes: list[int], rules: Rules) -> tuple[str, ...]:
    """Reasons of a submission [W] as words; a base names the variant that failed."""
    variants = {w.base: w.name for w in rules.workloads if w.base}
    words = [REASONS[code] for code in codes]
    for w, code in enumerate(codes):
        if code == HELD_OUT_FAILED:
            words[w] += f":{variants[rules.names[w]]}"
    return tuple(words)


def _drawn(plan: Plan) -> str:
    what = f"{plan.resamples} resamples of studies" + " and their trials" * plan.trials
    anew = ", anew for every workload" * (plan.unit == "cell")
    return f"{what}{anew}, seed {plan.seed}"


def _facts(
    group: Group, clock: str, plan: Plan | None, baseline: str
) -> tuple[tuple[str, str], ...]:
    rules = group.rules
    held_out = len(rules.workloads) - rules.scored
    facts = [
        ("rules", rules.title),
        ("workloads", f"{rules.scored} scored" + (f", {held_out} held out" if held_out else "")),
        ("asked for", f"{rules.studies} studies of {rules.trials} trials"),
        ("clock", "timed seconds" if clock == "seconds" else "steps"),
        ("trial of a study", BEST_TRIAL[group.best_trial]),
        ("workload time", "median over the studies that there are"),
        ("excluded", f"times over {rules.exclusion:g} times the fastest"),
        ("profile", f"from 1 to {rules.tau_max:g}, integral {INTEGRAL[group.integral]}"),
    ]
    if rules.hardware:
        facts.append(("hardware of the budgets", rules.hardware))
    if rules.hardware_mark:
        facts.append(("hardware of the trials", rules.hardware_mark))
    if plan:
        facts.append(("intervals", _drawn(plan)))
    if baseline:
        facts.append((f"speed against {baseline}", HOW))
    facts += [("changed by hand", change) for change in rules.changes]
    return tuple(facts)
