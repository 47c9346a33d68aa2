"""From figures to a line a check: is it good enough, and if not, what is to be changed?  No torch
here.
"""

import math
import statistics
from collections.abc import Mapping
from typing import Any

from algoperf_pt.preflight.attempts import PHASES, Seen
from algoperf_pt.preflight.cost import Cost
from algoperf_pt.preflight.report import (
    NOT_DONE,
    OK,
    PROBLEM,
    WARNING,
    Report,
    duration,
    gigabytes,
)
from algoperf_pt.spec import WorkloadSpec

_CLOSE = 0.9  # share of the memory above which a longer run may not fit
_SPREAD = 0.2  # distance of the quartiles over the median above which the machine is not quiet
_MARGIN = 1.2  # loader over step below which a slow moment is waited for
_WAIT = 0.2  # share of the timed seconds for a loader without workers

Found = dict[str, Any]


def say_phases(report: Report, seen: Seen, spec: WorkloadSpec) -> None:
    """A line for each phase, those that were not reached included."""
    tell: dict[str, Any] = {
        "set-up": _set_up,
        "loader": lambda *_: None,
        "steps": _steps,
        "longest batch": _longest,
        "evaluation batch": _evaluation_batch,
        "evaluation": lambda *_: None,
        "step after it": _after,
        "checkpoint": _checkpoint,
    }
    limit = seen.phases.get("set-up", {}).get("memory_bytes", math.inf)
    for name in PHASES:
        if name in seen.phases:
            tell[name](report, seen.phases, spec)
        elif name != seen.failed:
            report.say(name, NOT_DONE, f"not reached after {seen.failed}")
        elif not seen.oom:
            report.say(name, PROBLEM, seen.text, seen.fix)
        else:
            report.say(name, PROBLEM, f"out of memory: {_short(seen.text)}", _without_size(name))
    if {"loader", "steps"} <= seen.phases.keys():
        _loader(report, seen.phases["loader"], seen.phases["steps"])
    _memory(report, seen.phases, limit)


def spread(seconds: list[float]) -> tuple[float, float, float]:
    """(lower quartile, median, upper quartile)."""
    low, middle, high = statistics.quantiles(seconds, n=4, method="inclusive")
    return low, middle, high


def say_cost(report: Report, cost: Cost, found: Found, spec: WorkloadSpec) -> None:
    """The cost of evaluations, and hours."""
    partly = ""
    if found["extrapolated"]:
        partly = f" (extrapolated from {100 * min(found['share_seen'].values()):.2g} % of a split)"
    untimed = cost.evaluations * (cost.evaluation + cost.checkpoint)
    report.say(
        "evaluation",
        OK,
        f"{duration(cost.evaluation)} for all splits{partly}; {cost.evaluations} in a trial, one "
        f"each {duration(spec.eval_period)}: with checkpoints {duration(untimed)}, "
        f"{100 * untimed / cost.budget:.0f} % on top of the budget, untimed",
    )
    report.say(
        "trial",
        OK,
        f"at most {duration(cost.trial)}: budget {duration(cost.budget)}, untimed "
        f"{duration(cost.untimed)}; the {cost.trials} trials of the rule set "
        f"{duration(cost.workload)}",
    )


def say_size(report: Report, high: int, ranks: int, found: int, wrong: list[str], key: str) -> None:
    """What a search among batch sizes has found.

    Args:
        high: rows of a rank that do not fit.
        ranks: of the trial.
        found: rows of a rank that fit; 0: none.
        wrong: what kept the search from its end.
        key: how the submission is told its batch size.
    """
    asked = f"{high * ranks} do not fit"
    if wrong:
        report.say("batch size", PROBLEM, f"{asked}; the search failed: {wrong[0]}")
    elif found == 0:
        report.say("batch size", PROBLEM, f"{asked}, nor does any smaller batch", _more_memory())
    else:
        share = f", {found} on each of {ranks} ranks" if ranks > 1 else ""
        text = f"{asked}; the largest batch that does is {found * ranks}{share}"
        report.say("batch size", PROBLEM, text, f"{key.format(found * ranks)}; {_more_memory()}")


def _set_up(report: Report, phases: Mapping[str, Found], spec: WorkloadSpec) -> None:
    found = phases["set-up"]
    where = f"{duration(found['seconds'])} on {found['device']}"
    share = ""
    if found["ranks"] > 1:
        share = (
            f"; one rank's share of {found['ranks']} is measured ({found['rows']} of "
            f"{found['asked']} rows), their communication is not"
        )
    if found["asked"] % found["ranks"]:
        near = found["rows"] * found["ranks"]
        text = f"batch size {found['asked']} cannot be shared by {found['ranks']} ranks"
        report.say("set-up", PROBLEM, text, f"a multiple of {found['ranks']}, such as {near}")
    else:
        report.say("set-up", OK, f"{where}, batch size {found['asked']}{share}")


def _steps(report: Report, phases: Mapping[str, Found], spec: WorkloadSpec) -> None:
    found = phases["steps"]
    low, middle, high = spread(found["step_seconds"])
    text = (
        f"{duration(middle)} a step (quartiles {duration(low)} and {duration(high)}, "
        f"{len(found['step_seconds'])} steps; the first {duration(found['first_step_seconds'])})"
    )
    each = middle + _waited(phases["loader"], middle)
    possible = int(spec.budget / each)
    text += f"; {possible:,} steps in the budget, hint {spec.step_hint:,}"
    if possible < spec.step_hint:
        fix = (
            "a faster machine, or a schedule for fewer steps: the budget ends before the step hint "
            "that schedules plan with"
        )
        report.say("steps", WARNING, text, fix)
    elif (high - low) / middle > _SPREAD:
        report.say("steps", WARNING, text, "look for other processes: the steps vary much")
    else:
        report.say("steps", OK, text)


def _longest(report: Report, phases: Mapping[str, Found], spec: WorkloadSpec) -> None:
    found = phases["longest batch"]
    text = f"{found['rows']} rows ({found['chosen']}), {_sizes(found['shape'])}"
    report.say("longest batch", OK, _with_peak(text, found))


def _evaluation_batch(report: Report, phases: Mapping[str, Found], spec: WorkloadSpec) -> None:
    found = phases["evaluation batch"]
    text = f"{found['rows']} rows of {found['split']}, {_sizes(found['shape'])}"
    report.say("evaluation batch", OK, _with_peak(text, found))


def _after(report: Report, phases: Mapping[str, Found], spec: WorkloadSpec) -> None:
    found = phases["step after it"]
    report.say("step after it", OK, _with_peak("the longest batch, training resumed", found))


def _checkpoint(report: Report, phases: Mapping[str, Found], spec: WorkloadSpec) -> None:
    found = phases["checkpoint"]
    text = (
        f"{gigabytes(found['bytes'])}, written in {duration(found['save_seconds'])}, continued "
        f"from in {duration(found['restore_seconds'])}"
    )
    if found["differs"] is None:
        report.say("checkpoint", OK, f"{text}, the same to the last bit")
    else:
        fix = "return all state from state_dict, and take all of it back in load_state_dict"
        report.say("checkpoint", PROBLEM, f"{text}; {found['differs']} is not the same", fix)


def _loader(report: Report, load: Found, steps: Found) -> None:
    middle = statistics.median(steps["step_seconds"])
    margin, workers = middle / load["seconds_a_batch"], load["workers"]
    text = f"{load['rows_a_second']:.4g} rows/s, {margin:.2g} times the speed of the steps"
    waited = _waited(load, middle)
    share = waited / (waited + middle)
    if workers == 0:
        text += f"; without workers {100 * share:.0f} % of the timed seconds are loading"
        bad, need = share > _WAIT, 2
    else:
        text += f", {workers} workers"
        bad, need = margin < _MARGIN, math.ceil(workers * _MARGIN / margin)
    fix = f"data.workers={need}, on a machine with so many cores; faster storage" if bad else ""
    report.say("loader", WARNING if bad else OK, text, fix)


def _waited(load: Found, step: float) -> float:
    """Timed seconds of a step for which its batch is waited for."""
    seconds: float = load["seconds_a_batch"]
    return seconds if load["workers"] == 0 else max(0.0, seconds - step)


def _memory(report: Report, phases: Mapping[str, Found], limit: float) -> None:
    """The highest peak of all phases."""
    peaks = {name: phase["peak_bytes"] or 0.0 for name, phase in phases.items()}
    if not any(peaks.values()):
        return
    highest = max(peaks, key=lambda name: peaks[name])
    text = f"at most {gigabytes(peaks[highest])} of {gigabytes(limit)}, in {highest}"
    if peaks[highest] > _CLOSE * limit:
        report.say("memory", WARNING, text, f"close to the limit: {_more_memory()}")
    else:
        report.say("memory", OK, text)


def _with_peak(text: str, found: Found) -> str:
    peak = found["peak_bytes"]
    told = "peak not known" if peak is None else f"peak {gigabytes(peak)}"
    if "reserved_bytes" in found:
        told += f", {gigabytes(found['reserved_bytes'])} reserved"
    return f"{text}: {told}, {duration(found['seconds'])}"


def _sizes(shape: Mapping[str, list[int]]) -> str:
    """Of the largest tensor."""
    name, sizes = max(shape.items(), key=lambda item: math.prod(item[1]))
    return f"{name} {' x '.join(map(str, sizes))}"


def _without_size(phase: str) -> str:
    if phase.startswith("evaluation"):
        return (
            "the size of this batch is the workload's: more memory, or ranks that share it; what "
            "the submission keeps beside the parameters counts, too"
        )
    return "a smaller batch, see below" if phase in ("steps", "longest batch") else _more_memory()


def _more_memory() -> str:
    return "more memory, or more ranks (trainer.devices=N)"


def _short(text: str) -> str:
    return text.removeprefix("TooMuch: ").removeprefix("out of memory: ")[:200]
