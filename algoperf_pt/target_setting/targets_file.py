"""The targets that were found, as a file for conf/targets, with where they come from."""

import json
import math
from collections.abc import Sequence
from datetime import date
from typing import Any

from algoperf_pt.target_setting.procedure import HORIZON, Setting
from algoperf_pt.target_setting.runs import Run

_DIGITS = 6  # of a target; more would claim what a repetition cannot give


def targets_file(name: str, base: str, settings: Sequence[Setting]) -> str:
    """The YAML: the targets of `base`, with the lines of these workloads replaced.

    Args:
        name: version of the targets; base: a file of conf/targets, as v06.
        settings: a workload each.
    """
    lines = [
        "# Targets that were set by the paper's procedure (arXiv 2306.07179, section 5):",
        "# python -m algoperf_pt.target_setting; times in seconds of the timed clock.",
        f"defaults: [{base}, _self_]",
        f'version: "{name}"',
        f'released: "{date.today():%Y-%m}"',
        f"hardware: {_inline(_machine(settings[0].repeated[0]))}",
        "provenance:",
    ]
    for setting in settings:
        lines += [f"  {setting.plan.workload}:", *(f"    {line}" for line in _provenance(setting))]
    lines += ["workloads:"]
    lines += [f"  {s.plan.workload}: {_inline(_line(s))}" for s in settings]
    return "\n".join(lines) + "\n"


def _machine(run: Run) -> dict[str, Any]:
    """What the trials ran on, as the first one wrote it down."""
    known = json.loads((run.folder / "environment.json").read_text())
    device = known["gpus"][0]["name"] if known["gpus"] else known["cpu"]
    return {
        "device": device,
        "devices": known["ranks"],
        "threads": known["threads"],
        "memory_gb": round(known["memory_bytes"] / 2**30),
        "torch": known["torch"],
    }


def _provenance(setting: Setting) -> list[str]:
    plan, best = setting.plan, setting.best
    recipe = best.recipe.removeprefix("target_search_")
    recipes = ", ".join(plan.recipes)
    tried, reached = len(plan.recipes) * plan.trials, setting.found.reached
    horizon = int(HORIZON * setting.line["step_hint"])
    return [
        f"search: {recipes}; {plan.trials} quasi-random points each; {len(setting.searched)} of "
        f"{tried} runs came to the end",
        f"horizon: {horizon}   # steps, {HORIZON} of the step hint",
        f"best: {{recipe: {recipe}, trial: {best.trial}, seed: {best.seed}, "
        f"validation: {_short(best.validation)}}}",
        f"point: {_inline(best.point)}",
        "validation_target: median of the best validation results of the repetitions",
        f"test_target: the worst best test result among the {reached} that reached it",
        "max_runtime: 4/3 of the median time of the repetitions",
        f"seeds: {json.dumps([run.seed for run in setting.repeated])}",
        f"validation: {json.dumps(_rounded(setting.repeated, 'validation'))}",
        f"test: {json.dumps(_rounded(setting.repeated, 'test'))}",
        f"seconds: {json.dumps([round(run.seconds, 2) for run in setting.repeated])}",
    ]


def _line(setting: Setting) -> dict[str, Any]:
    found, test = setting.found, setting.found.test
    return {
        **setting.line,
        "validation_target": _short(found.validation),
        "test_target": None if test is None else _short(test),
        "strict": False,  # the median run itself has reached it
        "max_runtime": math.ceil(found.max_runtime),
    }


def _inline(values: dict[str, Any]) -> str:
    return "{" + ", ".join(f"{key}: {json.dumps(value)}" for key, value in values.items()) + "}"


def _short(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")


def _rounded(runs: Sequence[Run], split: str) -> list[float | None]:
    values = [getattr(run, split) for run in runs]
    return [None if value is None else _short(value) for value in values]
