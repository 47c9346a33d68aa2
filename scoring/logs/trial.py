"""What is known of one trial, and of all the logs?  Records that everything else reads.

Scores need `columns` alone.  The JSON files beside them are read when they are asked for.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scoring.logs.read_json import read_json

Floats = NDArray[np.float64]

CLOCK = "score"  # column: timed seconds
STEPS = "global_step"
DIGITS = "0123456789"
FINAL = frozenset({"reached", "budget", "step_limit", "submission_done", "diverged"})
UNFINISHED = "unfinished"


@dataclass(frozen=True)
class Trial:
    """One trial folder.

    Attributes:
        submission, study: folder names.
        workload: folder name without framework.
        framework: "jax" or "pytorch"; "" where the folder's name has none (this project's).
        number: of the trial, from 1.
        columns: column -> values [rows]; nan where a cell is empty.  `score` is the clock in
            seconds: finite, not negative; `global_step` is there too.  All empty for a file with
            a header alone; no columns at all if there is no file (`Logs.without_rows`).
        void: why its times do not count, e.g. after an integrity error; "" if they do.
    """

    submission: str
    study: str
    workload: str
    framework: str
    number: int
    folder: Path
    columns: Mapping[str, Floats]
    void: str = ""

    @property
    def clock(self) -> Floats:
        """Timed seconds of the evaluations [rows]."""
        return self.columns.get(CLOCK, np.empty(0))

    @property
    def steps(self) -> Floats:
        """Steps done at the evaluations [rows]."""
        return self.columns.get(STEPS, np.empty(0))

    def first_hit(self, column: str, goal: str, target: float) -> int:
        """Row of the first evaluation at or beyond the target, which need not last; -1 if there is
        none.  Otherwise as the function `first_hit`.
        """
        values = self.columns.get(column)
        if values is None or not len(values) or self.void:
            return -1
        return first_hit(values, goal, target)

    def hparams(self) -> dict[str, Any]:
        """hparams.json; {} if there is none, as in self-tuning.

        Raises:
            LogsError: it cannot be read.
        """
        return read_json(self.folder / "hparams.json")

    def metadata(self) -> dict[str, Any]:
        """meta_data_0.json; {} if there is none."""
        return read_json(self.folder / "meta_data_0.json")

    def result(self) -> dict[str, Any]:
        """result.json, which this project's trials have; {} if there is none."""
        return read_json(self.folder / "result.json")

    def status(self) -> str:
        """How the trial ended, in the words of result.json; "" where nothing tells."""
        return str(self.result().get("status", ""))

    def cut_short(self) -> str:
        """What ended a trial of this project before its time, e.g. "hung"; "unfinished" if it still
        runs or was killed; "" if it ended in order, and for AlgoPerf's, which do not tell.
        """
        status = self.status()
        if status:
            return "" if status in FINAL else status
        return UNFINISHED if (self.folder / "config.json").exists() else ""


@dataclass(frozen=True)
class Finding:
    """Something about the logs that a reader of the score should know.

    Attributes:
        kind: "missing" (a trial without csv), "unreadable" (left out: the score may depend on it),
            "ignored" (not part of the layout), "noted" (read, but odd), "duplicate".
        path: the file or folder.
        text: what is the matter.
    """

    kind: str
    path: Path
    text: str


@dataclass(frozen=True)
class Logs:
    """All trials, in natural order of submission, study, workload, framework and number.

    Attributes:
        trials: those with eval_measurements.csv, be it without rows.
        without_rows: trial folders that have no such file, or one that could not be read.
        findings: what was missing, unreadable, ignored, odd.
    """

    trials: tuple[Trial, ...]
    without_rows: tuple[Trial, ...] = ()
    findings: tuple[Finding, ...] = ()

    @property
    def submissions(self) -> tuple[str, ...]:
        """Names, in natural order; also of those without any evaluation."""
        seen = dict.fromkeys(trial.submission for trial in (*self.trials, *self.without_rows))
        return tuple(sorted(seen, key=natural))

    def only(self, submissions: frozenset[str]) -> Logs:
        """The logs of some submissions."""
        kept, empty = (
            tuple(trial for trial in trials if trial.submission in submissions)
            for trials in (self.trials, self.without_rows)
        )
        return Logs(kept, empty, self.findings)


def first_hit(values: Floats, goal: str, target: float) -> int:
    """Place of the first of the values [N], N > 0, at or beyond the target; -1 if there is none.

    Equality reaches a target, NaN never does.  `goal`: "min" or "max".
    """
    hit = values <= target if goal == "min" else values >= target
    row = int(hit.argmax())
    return row if hit[row] else -1


def natural(name: str) -> tuple[tuple[int, int, str], ...]:
    """Sort key: trial_2 comes before trial_10, and no order depends on the file system."""
    parts = re.findall("[0-9]{1,18}|[^0-9]+", name)
    keys = ((0, int(part), "") if part[0] in DIGITS else (1, 0, part) for part in parts)
    return (*keys, (2, 0, name))
