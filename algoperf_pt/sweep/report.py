"""What would -m do?  The plan as a table: trials, what is over, hours, device-hours, disk.
Nothing is started, and no trial's folder is touched.
"""

import json
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from rich import box
from rich.console import Console
from rich.table import Table

from algoperf_pt.driver import CONFIG, refuse_change
from algoperf_pt.errors import AlgoperfError
from algoperf_pt.heartbeat import CLOCK_FILE, read_clock
from algoperf_pt.sweep.backends import Backend
from algoperf_pt.sweep.plan import Planned
from algoperf_pt.sweep.table import WIDTH

_STATE = 3  # values of a parameter that a checkpoint holds: its own and two of Adam's kind
_FLOAT = 4  # bytes
_RECORDS = 4e6  # bytes: rows, events, TensorBoard, picture
_COLUMNS = ("trials", "over", "go on", "new", "budget h", "hours left", "device-hours", "GB left")


@dataclass
class Row:
    """A workload with a submission.  Hours of the timed clock; bytes."""

    trials: int = 0
    over: int = 0
    started: int = 0
    budget: float = 0.0
    hours: float = 0.0
    device_hours: float = 0.0
    disk: float | None = 0.0  # None: the size of the model is not known

    def cells(self) -> list[str]:
        """As text, in the order of the columns."""
        new = self.trials - self.over - self.started
        counts = [str(n) for n in (self.trials, self.over, self.started, new)]
        hours = [f"{h:.2f}" for h in (self.budget, self.hours, self.device_hours)]
        return [*counts, *hours, "?" if self.disk is None else f"{self.disk / 1e9:.2f}"]


def print_plan(trials: Sequence[Planned], backend: Backend) -> None:
    """Print the plan."""
    console = Console(soft_wrap=True, width=None if sys.stdout.isatty() else WIDTH)
    backend.prepare(trials)
    rows = make_rows(trials)
    total = _total(list(rows.values()))
    first = trials[0].first
    rules, version = first["ruleset"]["name"], first["targets"]["version"]
    title = f"rule set {rules} of version {version}"
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    for name in ("workload", "submission"):
        table.add_column(name, no_wrap=True)
    for name in _COLUMNS:
        table.add_column(name, justify="right", no_wrap=True)
    for (workload, submission), row in rows.items():
        table.add_row(workload, submission, *row.cells())
    table.add_section()
    cells = total.cells()
    cells[_COLUMNS.index("budget h")] = ""  # that of one trial
    table.add_row("all", "", *cells)
    console.print(table)
    for line in _notes(trials, total, backend):
        console.print(line, highlight=False, markup=False)


def make_rows(trials: Sequence[Planned]) -> dict[tuple[str, str], Row]:
    """(workload, submission) -> its row."""
    groups: dict[tuple[str, str], list[Planned]] = {}
    for planned in trials:
        groups.setdefault((planned.workload, planned.submission), []).append(planned)
    return {names: _row(group) for names, group in groups.items()}


def refused(trials: Sequence[Planned]) -> list[str]:
    """What is wrong with trials that were started with another configuration: the point of each is
    compared, the whole configuration of one for each workload and submission.
    """
    messages, compared = [], set()
    for planned in (p for p in trials if p.started):
        names = (planned.workload, planned.submission)
        if names in compared and _same_point(planned):
            continue
        compared.add(names)
        try:
            refuse_change(planned.config(), planned.folder)
        except AlgoperfError as error:
            messages.append(error.problem)
    return messages


def checkpoint_bytes(first: dict[str, Any]) -> float | None:
    """Estimated size of a checkpoint, from the model's parameters; None if they are not known."""
    text = files("algoperf_pt.sweep").joinpath("parameters.yaml").read_text()
    table: Any = OmegaConf.to_container(OmegaConf.create(text))
    workload = first["workload"]
    count = table.get(workload["name"], table.get(workload["base"]))
    return None if count is None else float(count * _STATE * _FLOAT)


def _row(group: Sequence[Planned]) -> Row:
    row = Row(trials=len(group), budget=group[0].spec.budget / 3600)
    each = _trial_bytes(group)
    for planned in group:
        if planned.finished:
            row.over += 1
            continue
        clock = read_clock(planned.folder / CLOCK_FILE) if planned.started else None
        row.started += planned.started
        left = max(0.0, planned.spec.budget - (clock[0] if clock else 0.0)) / 3600
        row.hours += left
        row.device_hours += left * _devices(planned.first)
        if not planned.started:
            row.disk = None if row.disk is None or each is None else row.disk + each
    return row


def _trial_bytes(group: Sequence[Planned]) -> float | None:
    """Of one trial: as measured on those that are over, else estimated."""
    sizes = [_size(planned.folder) for planned in group if planned.finished]
    if sizes:
        return max(sizes)
    checkpoint = checkpoint_bytes(group[0].first)
    kept = group[0].first["keep_checkpoints"]
    return None if checkpoint is None else kept * checkpoint + _RECORDS


def _size(folder: Path) -> float:
    return float(sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()))


def _devices(first: dict[str, Any]) -> int:
    devices = first["trainer"]["devices"]
    return int(devices) if devices.isdigit() else int(first["targets"]["hardware"]["devices"])


def _total(rows: Sequence[Row]) -> Row:
    total = Row()
    for row in rows:
        total.trials, total.over = total.trials + row.trials, total.over + row.over
        total.started += row.started
        total.hours += row.hours
        total.device_hours += row.device_hours
        total.disk = None if total.disk is None or row.disk is None else total.disk + row.disk
    return total


def _notes(trials: Sequence[Planned], total: Row, backend: Backend) -> list[str]:
    studies = len({planned.study for planned in trials})
    root = Path(trials[0].first["experiment_dir"])
    there = next(path for path in (root, *root.parents) if path.exists())
    free = shutil.disk_usage(there).free
    lines = [
        f"{studies} studies; {backend.describe()}",
        "hours are budgets: a trial ends sooner at its target, and evaluations and set-up come on "
        "top",
        f"folder: {root}, {free / 1e9:.0f} GB free",
    ]
    if total.disk is not None and total.disk > free:
        lines.append(
            "warning: the disk is too small: take another experiment_dir, or remove checkpoint_* "
            "of trials that are over"
        )
    return lines + [f"warning: {text}" for text in refused(trials)]


def _same_point(planned: Planned) -> bool:
    before = json.loads((planned.folder / CONFIG).read_text())["submission"]["hparams"]
    return all(before.get(name) == value for name, value in planned.point.items())
