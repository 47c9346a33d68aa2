"""How long did it take?  A trial to its target; a study: its best trial; a workload: the median
over a submission's studies.

Shapes: any leading axes `...`, S submissions, W workloads (the rules' order), K studies, T trials.
Seconds (or steps): inf where the target was not reached, nan where there is no such study or trial.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import product

import numpy as np
from numpy.typing import NDArray

from scoring.errors import LogsError
from scoring.logs.trial import Logs, Trial, natural
from scoring.rules.model import Rules, Workload

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
BEST_TRIAL = ("time", "reference")
CLOCKS = ("seconds", "steps")
MOST_CELLS = 20_000_000  # of a table of trials; the public ones of 0.5 have 3,850


@dataclass(frozen=True)
class StudyTimes:
    """Time of each study: that of its best trial.

    Attributes:
        studies: folder names [K].
        seconds: [S, W, K]; steps if the clock was steps.
        trials: number of the best trial [S, W, K]; 0 where the target was not reached.
    """

    submissions: tuple[str, ...]
    workloads: tuple[str, ...]
    studies: tuple[str, ...]
    seconds: Floats
    trials: Ints


@dataclass(frozen=True)
class TrialTimes:
    """Time of each trial, in natural order of their numbers.

    Attributes:
        seconds: [S, W, K, T]; steps if the clock was steps.
        rows: of the first evaluation at the target [S, W, K, T]; -1 where there is none.
        numbers: of the trials [S, W, K, T]; 0 where there is none.
    """

    submissions: tuple[str, ...]
    workloads: tuple[str, ...]
    studies: tuple[str, ...]
    seconds: Floats
    rows: Ints
    numbers: Ints

    def cell(self, trial: Trial) -> tuple[int, int, int, int] | None:
        """(s, w, k, t) of a trial; None if its workload or submission is not among these."""
        key = (trial.submission, trial.workload, trial.study)
        found = self._cells.get(key)
        if found is None:
            return None
        return (*found, int((self.numbers[found] == trial.number).argmax()))

    @cached_property
    def _cells(self) -> dict[tuple[str, str, str], tuple[int, int, int]]:
        axes = (self.submissions, self.workloads, self.studies)
        sizes = product(*(range(len(axis)) for axis in axes))
        return {names: place for names, place in zip(product(*axes), sizes)}  # type: ignore[misc]

    def place(self, best_trial: str = "time") -> Ints:
        """[S, W, K, T] place of each trial in the order in which the best is chosen; 0: the best.

        Args:
            best_trial: "time": the smallest time, which the rules say; "reference": the smallest
                row, then the smallest time, which AlgoPerf's scoring code does.
        """
        if best_trial not in BEST_TRIAL:
            raise ValueError(f"best_trial is {best_trial!r}; expected one of {BEST_TRIAL}")
        keys = [self.numbers.astype(np.float64), self.seconds]  # nan comes last
        if best_trial == "reference":
            keys.append(np.where(self.rows < 0, np.inf, self.rows))
        order = np.lexsort([*keys, np.isnan(self.seconds)], axis=-1)
        return np.argsort(order, axis=-1, kind="stable")

    def best(self, best_trial: str = "time") -> StudyTimes:
        """Times of studies; `best_trial` as in `place`."""
        first = self.place(best_trial).argmin(-1)[..., None]
        seconds = np.take_along_axis(self.seconds, first, -1)[..., 0]
        numbers = np.take_along_axis(self.numbers, first, -1)[..., 0]
        reached = np.where(np.isfinite(seconds), numbers, 0)
        return StudyTimes(self.submissions, self.workloads, self.studies, seconds, reached)


def trial_times(logs: Logs, rules: Rules, clock: str = "seconds") -> TrialTimes:
    """Times to the validation target of all trials.  Workloads that the rules lack are left out.

    Args:
        clock: "seconds" or "steps".

    Raises:
        LogsError: a trial is there twice, e.g. in two frameworks; there are too many.
    """
    if clock not in CLOCKS:
        raise ValueError(f"clock is {clock!r}; expected one of {CLOCKS}")
    submissions = logs.submissions
    kept = [trial for trial in logs.trials if trial.workload in set(rules.names)]
    studies = tuple(sorted({trial.study for trial in kept}, key=natural))
    cells = _grouped(kept, submissions, rules.names, studies)
    shape = (len(submissions), len(rules.names), len(studies))
    most = max((len(cell) for cell in cells.values()), default=1)
    if np.prod([*shape, most], dtype=float) > MOST_CELLS:
        raise LogsError(
            f"{len(studies):,} studies of up to {most:,} trials by {shape[0]} submissions are too "
            "many for a table; score some of them (--only NAME)"
        )
    found = _Table.empty((*shape, most))
    for place, trials in cells.items():
        workload = rules.workloads[place[1]]
        for t, trial in enumerate(sorted(trials, key=lambda trial: trial.number)):
            found.seconds[(*place, t)], found.rows[(*place, t)] = _time(trial, workload, clock)
            found.numbers[(*place, t)] = trial.number
    axes = (submissions, rules.names, studies)
    return TrialTimes(*axes, found.seconds, found.rows, found.numbers)


def study_times(
    logs: Logs, rules: Rules, best_trial: str = "time", clock: str = "seconds"
) -> StudyTimes:
    """Times of studies; arguments as in `TrialTimes.place` and `trial_times`."""
    return trial_times(logs, rules, clock).best(best_trial)


def workload_times(studies: Floats) -> Floats:
    """Medians over the studies that there are, [..., W, K] to [..., W].

    Of an even number, the mean of the two in the middle; inf if one of these is.  nan where a
    workload has no study at all.
    """
    if not studies.shape[-1]:
        return np.full(studies.shape[:-1], np.nan)
    ordered = np.sort(studies, axis=-1)  # nan comes last
    count = (~np.isnan(studies)).sum(-1)
    lower, upper = np.maximum(count - 1, 0) // 2, np.minimum(count // 2, studies.shape[-1] - 1)
    middle = np.stack([lower, upper], -1)
    low, high = np.moveaxis(np.take_along_axis(ordered, middle, -1), -1, 0)
    found: Floats = np.where(low == high, low, (low + high) / 2)
    return found


@dataclass(frozen=True)
class _Table:
    seconds: Floats
    rows: Ints
    numbers: Ints

    @classmethod
    def empty(cls, shape: tuple[int, ...]) -> _Table:
        rows, numbers = np.full(shape, -1, dtype=np.int64), np.zeros(shape, dtype=np.int64)
        return cls(np.full(shape, np.nan), rows, numbers)


def _grouped(
    trials: list[Trial],
    submissions: tuple[str, ...],
    workloads: tuple[str, ...],
    studies: tuple[str, ...],
) -> dict[tuple[int, int, int], list[Trial]]:
    axes = (submissions, workloads, studies)
    places = [{name: i for i, name in enumerate(axis)} for axis in axes]
    cells: dict[tuple[int, int, int], list[Trial]] = {}
    seen: dict[tuple[str, str, str, int], Trial] = {}
    for trial in trials:
        key = (trial.submission, trial.workload, trial.study, trial.number)
        if key in seen:
            raise LogsError(_twice(seen[key], trial))
        seen[key] = trial
        s, w, k = (place[name] for place, name in zip(places, key[:3], strict=True))
        cells.setdefault((s, w, k), []).append(trial)
    return cells


def _twice(one: Trial, other: Trial) -> str:
    return (
        f"{one.submission}: trial {one.number} of {one.study} on {one.workload} is there twice, in "
        f"{one.folder} and in {other.folder}; leave one of them out (--skip FOLDER)"
    )


def _time(trial: Trial, workload: Workload, clock: str) -> tuple[float, int]:
    row = trial.first_hit(workload.column, workload.goal, workload.target)
    if row < 0:
        return np.inf, row
    return float((trial.clock if clock == "seconds" else trial.steps)[row]), row
