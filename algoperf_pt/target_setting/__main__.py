"""python -m algoperf_pt.target_setting WORKLOAD ... --trials 200 --reruns 20 --file FILE.yaml"""

import argparse
import sys
from pathlib import Path

from algoperf_pt.config import compose_config
from algoperf_pt.errors import AlgoperfError
from algoperf_pt.instantiate import find_own_modules
from algoperf_pt.records import write_atomically
from algoperf_pt.target_setting.procedure import RECIPES, Plan, Setting, checked, set_targets
from algoperf_pt.target_setting.targets_file import targets_file


def main(arguments: list[str] | None = None) -> None:
    """Entry point; ends with 2 after a mistake of the user."""
    options, rest = _parser().parse_known_intermixed_args(arguments)
    find_own_modules()
    try:
        names = [word for word in [*options.workloads, *rest] if "=" not in word]
        options.file.parent.mkdir(parents=True, exist_ok=True)  # before hours of runs, not after
        words = tuple(word for word in [*options.workloads, *rest] if "=" in word)
        recipes = checked(options.recipes)
        version = compose_config([f"workload={names[0]}", *words], needs_data=False)["targets"]
        base = f"v{version['version'].replace('.', '')}"
        settings = []
        for name in names:
            plan = Plan(name, recipes, options.trials, options.reruns, options.out.resolve(), words)
            settings.append(set_targets(plan))
            print(told(settings[-1]), flush=True)
        write_atomically(options.file, targets_file(options.file.stem, base, settings))
        print(f"targets: {options.file}")
    except AlgoperfError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        sys.exit(2)


def told(setting: Setting) -> str:
    """What was found, in three lines."""
    best, found, metric = setting.best, setting.found, setting.line["metric"]
    recipe = best.recipe.removeprefix("target_search_")
    test = "none" if found.test is None else f"{found.test:.6g}"
    return "\n".join(
        [
            f"{setting.plan.workload}: best of {len(setting.searched)} runs is {recipe}, trial "
            f"{best.trial}, with {metric} {best.validation:.6g}",
            f"  validation target {found.validation:.6g}, reached by {found.reached} of "
            f"{len(setting.repeated)} repetitions; test target {test}",
            f"  time limit {found.max_runtime:.1f} s",
        ]
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m algoperf_pt.target_setting",
        description="Set targets by the procedure of the paper.  It can be stopped and goes on.",
    )
    parser.add_argument("workloads", nargs="+", metavar="WORKLOAD | KEY=VALUE")
    parser.add_argument("--trials", type=int, default=200, help="points of each recipe")
    parser.add_argument("--reruns", type=int, default=20, help="repetitions of the best run")
    parser.add_argument("--recipes", nargs="+", default=list(RECIPES), metavar="RECIPE")
    parser.add_argument("--out", type=Path, default=Path("target_setting"), help="trials")
    parser.add_argument("--file", type=Path, required=True, help="conf/targets/NAME.yaml to write")
    return parser


if __name__ == "__main__":
    main()
