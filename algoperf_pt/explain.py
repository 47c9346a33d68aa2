"""What will a submission do on a workload?  `python -m algoperf_pt.explain workload=W submission=S`
prints every tensor with its role, shape, matrix view, optimizer, group, learning rate, decay and
state, and draws the schedule.  No data are needed, and no memory for the model.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from algoperf_pt.anatomy import Anatomy, TensorFacts, dissect
from algoperf_pt.config import compose_config
from algoperf_pt.errors import AlgoperfError
from algoperf_pt.instantiate import find_own_modules, import_object
from algoperf_pt.schedule_plot import plot_schedules
from algoperf_pt.updates import Update

MATRIX_VIEW = "optimizers.matrix_view.matrix_shape"
COLUMNS = ("tensor", "role", "shape", "matrix", "optimizer", "group", "lr", "decay", "state bytes")
_RIGHT = 5  # columns from here on are numbers


def explain(
    overrides: list[str],
    config_dir: str | None = None,
    png: Path | None = None,
    as_json: bool = False,
    matrix_view: str = MATRIX_VIEW,
) -> None:
    """Print the anatomy and write the picture.

    Args:
        overrides: as typed.
        config_dir: the user's own folder of configuration groups.
        png: the picture; None: <workload>_<submission>_schedule.png in the current folder.
        as_json: print JSON instead of tables.
        matrix_view: dotted path of a function (shape, role) -> [rows, columns] or None.

    Raises:
        AlgoperfError: what the same words would raise in algoperf-train before the first step.
    """
    config = compose_config(overrides, config_dir, needs_data=False)
    anatomy = dissect(config, import_object(matrix_view, "--matrix-view"))
    names = (config["workload"]["name"], config["submission"]["name"])
    path = png or Path("{}_{}_schedule.png".format(*names))
    title = f"{names[1]} on {names[0]} (benchmark {anatomy.spec.version})"
    hint, share = anatomy.spec.step_hint, config["submission"]["stop_factor"]
    end = None if share is None else int(share * hint)
    plot_schedules(path, title, hint, _factors(anatomy), anatomy.dropout, end)
    if as_json:
        print(json.dumps({**as_dict(anatomy), "schedule": str(path)}, indent=1))
        return
    print(f"{title}\n{_settings(anatomy)}\n")
    _print_table([_cells(anatomy, t) for t in anatomy.tensors])
    print("\n" + "\n".join(_summary(anatomy)) + f"\nschedule: {path}")


def as_dict(anatomy: Anatomy) -> dict[str, Any]:
    """Plain values, as --json prints them."""
    return {
        "workload": anatomy.spec.name,
        "version": anatomy.spec.version,
        "step_hint": anatomy.spec.step_hint,
        "settings": anatomy.settings,
        "tensors": [{**vars(t), "elements": t.elements} for t in anatomy.tensors],
        "optimizers": [
            {
                "name": _name(update),
                "schedule": _schedule(update),
                "groups": groups,
            }
            for update, groups in zip(anatomy.updates, anatomy.groups)
        ],
        "elements": sum(t.elements for t in anatomy.tensors),
        "state_bytes": sum(t.state for t in anatomy.tensors),
        "other_state_bytes": anatomy.other_state,
        "measured_by": anatomy.measured,
        "notes": anatomy.notes,
    }


def _settings(anatomy: Anatomy) -> str:
    """One line; parts that most submissions lack only where they are."""
    seldom = ("average", "ends after")
    shown = {k: v for k, v in anatomy.settings.items() if v is not None or k not in seldom}
    return ", ".join(f"{key} {_short(value)}" for key, value in shown.items())


def _factors(anatomy: Anatomy) -> dict[str, Any]:
    """Label -> schedule of each optimizer."""
    return {
        f"{number} {_name(update)}: {_schedule(update)}": update.schedule
        for number, update in enumerate(anatomy.updates)
    }


def _cells(anatomy: Anatomy, tensor: TensorFacts) -> list[str]:
    shape = " x ".join(map(str, tensor.shape)) or "one number"
    number = tensor.optimizer
    rule = "-" if number is None else f"{number} {_name(anatomy.updates[number])}"
    numbers = (tensor.group, tensor.lr, tensor.weight_decay)
    settings = [_short(value, "-") for value in numbers]
    return [tensor.name, tensor.role, shape, tensor.view, rule, *settings, f"{tensor.state:,}"]


def _print_table(rows: list[list[str]]) -> None:
    """By rich on a terminal; elsewhere plain lines that are never wrapped or cut."""
    if sys.stdout.isatty():
        table = Table(*COLUMNS[:_RIGHT])
        for name in COLUMNS[_RIGHT:]:
            table.add_column(name, justify="right")
        for row in rows:
            table.add_row(*row)
        Console().print(table)
        return
    lines = [list(COLUMNS), *rows]
    widths = [max(len(line[c]) for line in lines) for c in range(len(COLUMNS))]
    for line in lines:
        left = [cell.ljust(width) for cell, width in zip(line[:_RIGHT], widths)]
        right = [cell.rjust(width) for cell, width in zip(line[_RIGHT:], widths[_RIGHT:])]
        print("  ".join([*left, *right]))


def _summary(anatomy: Anatomy) -> list[str]:
    lines = []
    for number, update in enumerate(anatomy.updates):
        lines.append(f"optimizer {number}: {_name(update)}, schedule {_schedule(update)}")
        for g, group in enumerate(anatomy.groups[number]):
            mine = [t for t in anatomy.tensors if (t.optimizer, t.group) == (number, g)]
            settings = ", ".join(f"{k}={_short(v)}" for k, v in group.items())
            lines.append(f"  group {g}: {_count(mine)}; {settings}")
    idle = [t for t in anatomy.tensors if t.optimizer is None]
    if idle:
        lines.append(f"updated by no optimizer that was found: {_count(idle)}")
    more = f" + {anatomy.other_state:,} that belong to no tensor" if anatomy.other_state else ""
    lines.append(f"together: {_count(anatomy.tensors)}{more}; measured by {anatomy.measured}")
    return lines + [f"note: {note}" for note in anatomy.notes]


def _count(tensors: list[TensorFacts]) -> str:
    elements, state = sum(t.elements for t in tensors), sum(t.state for t in tensors)
    each = f" ({state / elements:.2f} an element)" if elements else ""
    return f"{len(tensors)} tensors, {elements:,} elements, {state:,} state bytes{each}"


def _name(update: Update) -> str:
    return type(update.optimizer).__name__


def _schedule(update: Update) -> str:
    return "constant" if update.schedule is None else type(update.schedule).__name__


def _short(value: Any, nothing: str = "none") -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, (tuple, list)):
        return f"({', '.join(_short(part) for part in value)})"
    return nothing if value is None else str(value)


def main(arguments: list[str] | None = None) -> None:
    """python -m algoperf_pt.explain workload=W submission=S [KEY=VALUE ...]; see --help."""
    parser = argparse.ArgumentParser("python -m algoperf_pt.explain", description=__doc__)
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="as for algoperf-train")
    parser.add_argument("--config-dir", metavar="DIR", help="your own configuration groups")
    parser.add_argument("--png", type=Path, help="the picture of the schedule")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    parser.add_argument(
        "--matrix-view", default=MATRIX_VIEW, metavar="PATH", help=f"by default {MATRIX_VIEW}"
    )
    options = parser.parse_intermixed_args(arguments)
    find_own_modules()
    choices = (options.config_dir, options.png, options.json, options.matrix_view)
    try:
        explain(options.overrides, *choices)
    except AlgoperfError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
