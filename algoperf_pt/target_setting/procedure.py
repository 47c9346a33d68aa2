"""Set the targets of one workload: search, choose, repeat.

Everything is run by the sweep of `algoperf-train -m`, so it can be stopped and goes on where it
was.  Trials train to the end of their horizon: the targets that they run under cannot be reached.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from algoperf_pt.config import compose_config
from algoperf_pt.errors import ConfigError
from algoperf_pt.records import write_atomically
from algoperf_pt.sweep.start import multirun
from algoperf_pt.target_setting.runs import Run, read_runs
from algoperf_pt.target_setting.statistic import Found, best_run, targets

RECIPES = ("nadamw", "adamw", "heavy_ball", "nesterov")  # conf/submission/target_search
HORIZON = 0.75  # of the step hint; the recipes' schedules end there, too
_UNREACHABLE = 1e300
_LONG = 1e9  # s; the horizon ends a trial, not its time


@dataclass(frozen=True)
class Plan:
    """How much is run.

    Args:
        workload: name in conf/workload.
        recipes: of RECIPES.
        trials: quasi-random points of each recipe.
        reruns: repetitions of the best run with other seeds.
        out: folder for all trials.
        words: further overrides of the command line, for all of them.
    """

    workload: str
    recipes: tuple[str, ...]
    trials: int
    reruns: int
    out: Path
    words: tuple[str, ...] = ()


@dataclass(frozen=True)
class Setting:
    """What was found for a workload, and from what.

    Args:
        line: the workload's line in the targets that it was run under.
        best: the run that was repeated.
        searched: runs of the search that came to the end.
        repeated: the repetitions.
        found: the targets.
    """

    plan: Plan
    line: dict[str, Any]
    best: Run
    searched: list[Run]
    repeated: list[Run]
    found: Found


def set_targets(plan: Plan) -> Setting:
    """Run what has not been run yet, and find the targets.

    Raises:
        ConfigError: a word of the plan is wrong, or no run came to its end.
    """
    line = _line(plan)
    searched = _searched(plan, line)
    best = best_run(searched, line["direction"])
    repeated = _repeated(plan, line, best)
    return Setting(plan, line, best, searched, repeated, targets(repeated, line["direction"]))


def _line(plan: Plan) -> dict[str, Any]:
    """The workload's metric, direction, period and step hint."""
    words = [f"workload={plan.workload}", "submission=target_search/nadamw", *plan.words]
    config = compose_config(words, needs_data=False)
    line: dict[str, Any] = config["targets"]["workloads"][plan.workload]
    return line


def _searched(plan: Plan, line: dict[str, Any]) -> list[Run]:
    folder = plan.out / "search"
    chosen = ",".join(f"target_search/{recipe}" for recipe in plan.recipes)
    multirun([f"submission={chosen}", *_words(plan, line, folder, plan.trials)])
    return _read(folder, plan.workload, line)


def _repeated(plan: Plan, line: dict[str, Any], best: Run) -> list[Run]:
    """The best point, as often as asked for; trials differ in their seeds."""
    folder, conf = plan.out / "repeat", plan.out / "conf"
    recipe = best.recipe.removeprefix("target_search_")
    name = f"target_repeat_{plan.workload}"
    _write_repeated(conf / "submission" / f"{name}.yaml", name, recipe, best.point, plan.reruns)
    multirun([f"submission={name}", *_words(plan, line, folder, plan.reruns)], str(conf))
    return _read(folder, plan.workload, line)


def _write_repeated(
    path: Path, name: str, recipe: str, point: dict[str, Any], reruns: int
) -> None:
    """A submission whose list has the same point again and again.

    Raises:
        ConfigError: there is one with another point: the search has grown since.
    """
    lines = [f"# The best run of {recipe}, to be repeated."]
    lines += [f"defaults: [/submission/target_search/{recipe}@_here_, _self_]", f"name: {name}"]
    lines += [f"hparams: {json.dumps(point)}"]
    same = len(lines)
    lines += [f"points: {json.dumps([point] * reruns)}"]
    text = "\n".join(lines) + "\n"
    if path.exists() and path.read_text().splitlines()[:same] != lines[:same]:
        raise ConfigError(
            f"another run was the best before: now it is {recipe} at {json.dumps(point)}",
            where=str(path),
            fix=f"remove {path.parents[2] / 'repeat'} and {path}, or use another --out",
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, text)


def _words(plan: Plan, line: dict[str, Any], folder: Path, trials: int) -> list[str]:
    target = _UNREACHABLE if line["direction"] == "max" else -_UNREACHABLE
    own = f"targets.workloads.{plan.workload}"
    return [
        f"workload={plan.workload}",
        "ruleset=external",
        "targets.rulesets.external.studies=1",
        f"targets.rulesets.external.trials={trials}",
        f"{own}.validation_target={target}",
        f"{own}.max_runtime={_LONG}",
        f"max_steps={int(HORIZON * line['step_hint'])}",
        f"experiment_dir={folder}",
        *plan.words,
    ]


def _read(folder: Path, workload: str, line: dict[str, Any]) -> list[Run]:
    found = sorted(folder.glob(f"*/study_0/{workload}/trial_*"), key=_order)
    return read_runs(found, line["metric"], line["direction"])


def _order(folder: Path) -> tuple[str, int]:
    return folder.parents[2].name, int(folder.name.removeprefix("trial_"))


def checked(recipes: Sequence[str]) -> tuple[str, ...]:
    """The recipes, if all of them are known.

    Raises:
        ConfigError: one is not.
    """
    unknown = [name for name in recipes if name not in RECIPES]
    if unknown:
        raise ConfigError(
            f"{unknown[0]!r} is no recipe", expected=f"some of {', '.join(RECIPES)}"
        )
    return tuple(dict.fromkeys(recipes))
