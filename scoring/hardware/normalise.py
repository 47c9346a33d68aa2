"""What would seconds have been on other hardware?  Every trial's clock times the ratio of its
machine's calibration to a reference's.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

from scoring.errors import RulesError
from scoring.hardware.calibration import AGAIN, NAME, Calibration, ratio, read_calibration
from scoring.hardware.classes import UNKNOWN
from scoring.logs.trial import CLOCK, Logs, Trial

AUTO = "auto"
_TIMES = (CLOCK, "accumulated_submission_time", "total_duration")  # columns in seconds


@dataclass(frozen=True)
class Factor:
    """What a trial's times were multiplied with.

    Attributes:
        hardware: the trial's class.
        factor: 1 for the reference's own hardware.
        by: what the ratio is of.
    """

    trial: Trial
    hardware: str
    factor: float
    by: str


def normalised(
    logs: Logs, trials: list[Trial], classes: list[str], asked: str
) -> tuple[Logs, str, list[Factor]]:
    """(logs with other clocks, the reference's class, the factors).

    Args:
        trials, classes: those that are compared, and their hardware.
        asked: a calibration file, or "auto": that of the class with most trials.

    Raises:
        RulesError: a trial has no calibration that can be compared; naming its folder.
    """
    found = [read_calibration(trial.folder / NAME) for trial in trials]
    reference, name = _reference(asked, trials, classes, found)
    rows = zip(trials, classes, found, strict=True)
    factors = [_factor(*row, reference, name) for row in rows]
    by_folder = {one.trial.folder: one.factor for one in factors}
    kept = tuple(_scaled(trial, by_folder.get(trial.folder, 1.0)) for trial in logs.trials)
    return replace(logs, trials=kept), name, factors


def _reference(
    asked: str, trials: list[Trial], classes: list[str], found: list[Calibration | None]
) -> tuple[Calibration, str]:
    """(calibration, class that times are brought to)."""
    if asked != AUTO:
        reference = read_calibration(Path(asked))
        if reference is None:
            raise RulesError(f"--normalise {asked}: no such file; {AGAIN}")
        return reference, reference.hardware
    counts = Counter(n for n, c in zip(classes, found, strict=True) if c and n != UNKNOWN)
    if not counts:
        raise RulesError(
            f"--normalise auto: no trial has a {NAME} and a hardware class, e.g. not "
            f"{trials[0].folder}; {AGAIN}, before the trials are run"
        )
    name = min(counts, key=lambda n: (-counts[n], n))
    pairs = zip(classes, found, strict=True)
    return next(c for n, c in pairs if n == name and c is not None), name


def _factor(
    trial: Trial, hardware: str, own: Calibration | None, reference: Calibration, name: str
) -> Factor:
    if hardware == name and hardware != UNKNOWN:
        return Factor(trial, hardware, 1.0, "the same class")
    if own is None:
        raise RulesError(
            f"{trial.folder} has no {NAME}, and was run on {hardware or 'unknown hardware'}, not "
            f"on {name}: its times cannot be normalised; {AGAIN}, or --skip {trial.folder}"
        )
    if _count(hardware) != _count(name):
        raise RulesError(
            f"{trial.folder} was run on {hardware}, the reference is {name}: calibrations are of "
            "one device and say nothing about another number of devices"
        )
    return Factor(trial, hardware, *ratio(own, reference, trial.workload))


def _count(hardware: str) -> str:
    """Number of devices; of a CPU 1, whatever its cores, all of which a calibration uses."""
    count, x, _ = hardware.partition("x")
    return count if x and count.isdigit() else "1"


def _scaled(trial: Trial, factor: float) -> Trial:
    """The trial as if its clock had run on the reference's hardware."""
    if factor == 1.0:
        return trial
    times = {name: trial.columns[name] * factor for name in _TIMES if name in trial.columns}
    return replace(trial, columns={**trial.columns, **times})
