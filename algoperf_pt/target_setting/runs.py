"""What did a finished trial of target setting achieve?  Read from its folder."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from algoperf_pt.eval_rows import best, read_eval_rows
from algoperf_pt.result import read_result
from algoperf_pt.status import Status


@dataclass(frozen=True)
class Run:
    """A trial that trained to the end of its horizon.

    Args:
        recipe: name of its submission.
        trial: number.
        seed: of the trial.
        point: hyperparameters.
        validation: best value of the metric; test: the same, None where there is no test split.
        seconds: of the timed clock, to the end of the horizon.
        folder: of the trial.
    """

    recipe: str
    trial: int
    seed: int
    point: dict[str, Any]
    validation: float
    test: float | None
    seconds: float
    folder: Path


def read_runs(folders: Iterable[Path], metric: str, direction: str) -> list[Run]:
    """Runs of these trial folders that came to the end; the others (diverged, failed) are left out.

    Args:
        folders: of trials.
        metric: name without its split; direction: "max" or "min" is better.
    """
    found = (_read(folder, metric, direction) for folder in folders)
    return [run for run in found if run is not None]


def _read(folder: Path, metric: str, direction: str) -> Run | None:
    result = read_result(folder)
    if result is None or result["status"] != Status.STEP_LIMIT.value:
        return None
    rows = read_eval_rows(folder)
    validation = best((row.get(f"validation/{metric}") for row in rows), direction)
    if validation is None:
        return None
    config = json.loads((folder / "config.json").read_text())
    return Run(
        recipe=config["submission"]["name"],
        trial=config["trial"],
        seed=config["seed"],
        point=json.loads((folder / "hparams.json").read_text()),
        validation=validation,
        test=best((row.get(f"test/{metric}") for row in rows), direction),
        seconds=result["elapsed"],
        folder=folder,
    )
