"""How is the trial doing?  A live table on a terminal, plain lines elsewhere: step, loss, time of
the budget, target.
"""

import sys
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table

from algoperf_pt.trial import Listener, Trial

_PLAIN_SECONDS = 10.0  # s of training between plain lines beside the evaluations


def make_display(kind: str) -> list[Listener]:
    """The display that `display=` asks for: auto, rich, plain or none."""
    if kind == "none":
        return []
    if kind == "rich" or (kind == "auto" and sys.stdout.isatty()):
        return [RichDisplay()]
    return [PlainDisplay()]


def progress(trial: Trial, row: dict[str, float], elapsed: float) -> dict[str, str]:
    """What a display shows, as text; seconds of the timed clock."""
    spec = trial.spec
    shown = {
        "step": f"{trial.step}",
        "loss": f"{row['loss']:.4f}" if "loss" in row else "-",
        "lr": f"{row['lr']:.2e}" if "lr" in row else "-",
        "time": f"{elapsed:.1f} of {spec.budget:.0f} s ({100 * elapsed / spec.budget:.0f} %)",
        f"best {spec.metric}": f"{_best(trial)} (target {spec.validation_target:g})",
        "next evaluation": _next_evaluation(trial, elapsed),
        "ETA (budget)": f"{max(0.0, spec.budget - elapsed):.0f} s",
    }
    if trial.config["max_steps"] and trial.step:
        left = (trial.config["max_steps"] - trial.step) * elapsed / trial.step
        shown["ETA (steps)"] = f"{max(0.0, left):.0f} s"
    return shown


class PlainDisplay:
    """One line an evaluation, and one every few seconds of training."""

    def __init__(self) -> None:
        self._next = 0.0

    def on_log(self, trial: Trial, row: dict[str, float], elapsed: float) -> None:
        """A step's metrics; shown rarely."""
        if elapsed >= self._next:
            self._next = elapsed + _PLAIN_SECONDS
            print(
                "  ".join(f"{k} {v}" for k, v in progress(trial, row, elapsed).items()), flush=True
            )

    def on_evaluation_end(self, trial: Trial, row: dict[str, float]) -> None:
        """An evaluation's row."""
        metric = trial.spec.metric
        parts = [
            f"{s} {metric} {row[f'{s}/{metric}']:.4f}"
            for s in ("train", "validation", "test")
            if f"{s}/{metric}" in row
        ]
        print(
            f"evaluation at step {trial.step}, {row['score']:.2f} s: {', '.join(parts)}", flush=True
        )

    def on_end(self, trial: Trial) -> None:
        """Nothing: the summary follows."""


class RichDisplay:
    """A table that is redrawn in place.  It is refreshed by the clock, off the clock: it has no
    thread of its own.
    """

    def __init__(self, console: Console | None = None) -> None:
        self._live = Live(console=console or Console(), auto_refresh=False, transient=True)
        self._live.start()

    def on_log(self, trial: Trial, row: dict[str, float], elapsed: float) -> None:
        """Redraw."""
        self._live.update(self._table(trial, row, elapsed), refresh=True)

    def on_evaluation_end(self, trial: Trial, row: dict[str, float]) -> None:
        """Redraw with the new best."""
        self._live.update(self._table(trial, row, row["score"]), refresh=True)

    def on_end(self, trial: Trial) -> None:
        """Take the table away; the summary follows."""
        self._live.stop()

    def _table(self, trial: Trial, row: dict[str, float], elapsed: float) -> Table:
        name = f"{trial.spec.name} / {trial.config['submission']['name']}"
        table = Table(title=name, title_justify="left", show_header=False)
        for key, value in progress(trial, row, elapsed).items():
            table.add_row(key, value)
        return table


def _best(trial: Trial) -> str:
    key = f"validation/{trial.spec.metric}"
    values = [row[key] for row in trial.evaluations if row[key] == row[key]]
    choose: Any = max if trial.spec.direction == "max" else min
    return f"{choose(values):.4f}" if values else "-"


def _next_evaluation(trial: Trial, elapsed: float) -> str:
    every = trial.config["eval_every_steps"]
    if every:
        return f"in {every - trial.step % every} steps"
    last = trial.evaluations[-1]["score"] if trial.evaluations else elapsed
    return f"in {max(0.0, last + trial.spec.eval_period - elapsed):.1f} s"
