"""What came out?  A table and a picture of the learning curve, made from the files of a trial
folder.  No torch.
"""

import json
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from algoperf_pt.eval_rows import read_eval_rows
from algoperf_pt.result import read_result

PICTURE = "learning_curve.png"


def print_summary(folder: Path, silent: bool = False) -> None:
    """Print the table of a trial and write learning_curve.png."""
    result = read_result(folder)
    if result is None:
        return
    if result.get("last"):
        plot(folder, result)
    if not silent:
        console = Console(soft_wrap=True)
        console.print(summary_table(folder, result))
        console.print(f"folder: {folder}", highlight=False)


def summary_table(folder: Path, result: dict[str, Any]) -> Table:
    """Time to target, status, ledger."""
    names = folder.parts[-4:]
    table = Table(title=" / ".join(names), title_justify="left", show_header=False)
    table.add_row("status", _status_text(result))
    for split in ("validation", "test"):
        if "time_to_target" in result:
            table.add_row(f"time to {split} target", _time_text(result, split))
    if result.get("last"):
        metric = result["metric"]
        values = {s: result["last"].get(f"{s}/{metric}") for s in ("validation", "test")}
        last = ", ".join(f"{s} {v:.4f}" for s, v in values.items() if v is not None)
        table.add_row(f"last {metric}", last)
        table.add_row("steps", str(result["step"]))
        table.add_row("timed", f"{result['elapsed']:.2f} s of {result['budget']:.0f} s")
        for bucket, seconds in result["ledger"].items():
            table.add_row(f"  {bucket}", f"{seconds:.3f} s")
        table.add_row("set-up (untimed)", f"{result['setup_seconds']:.3f} s")
    return table


def _status_text(result: dict[str, Any]) -> str:
    message = result.get("message")
    text = f"{result['status']} ({message.splitlines()[0]})" if message else result["status"]
    return text if result.get("comparable", True) else f"{text}, unscored"


def _time_text(result: dict[str, Any], split: str) -> str:
    seconds, steps = result["time_to_target"][split], result["steps_to_target"][split]
    target = result["targets"][split]
    if target is None:
        return "no target"
    if seconds is None:
        return f"not reached ({result['metric']} {target:g})"
    return f"{seconds:.2f} s, step {steps} ({result['metric']} {target:g})"


def plot(folder: Path, result: dict[str, Any]) -> None:
    """The metric over timed seconds on each split, with the target and the moment at which it was
    reached.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = read_eval_rows(folder)
    figure = Figure(figsize=(7, 4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    metric = result["metric"]
    seconds = [float(row["score"]) for row in rows]
    for split in ("train", "validation", "test"):
        if f"{split}/{metric}" in rows[0]:
            axes.plot(
                seconds,
                [float(row[f"{split}/{metric}"]) for row in rows],
                marker="o",
                ms=3,
                label=split,
            )
    axes.axhline(
        result["targets"]["validation"], color="black", ls="--", lw=1, label="validation target"
    )
    reached = result["time_to_target"]["validation"]
    if reached is not None:
        axes.axvline(reached, color="tab:green", lw=1, label=f"reached after {reached:.2f} s")
    config = json.loads((folder / "config.json").read_text())
    axes.set_title(
        f"{config['workload']['name']} / {config['submission']['name']}: {result['status']}"
    )
    axes.set_xlabel("timed seconds")
    axes.set_ylabel(metric)
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(folder / PICTURE, dpi=120)
