"""Are times compared that different hardware took?  On each workload all known classes must be one;
a trial whose hardware is unknown mixes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NoReturn

from scoring.errors import RulesError
from scoring.hardware.classes import UNKNOWN
from scoring.logs.trial import Logs, Trial
from scoring.rules.model import Rules

SHOWN = 6  # folders named in a refusal


class MixedHardware(RulesError):
    """Times of different hardware classes would be compared."""


def trials_of(logs: Logs, rules: Rules) -> list[Trial]:
    """Trials with evaluations on workloads of the rules: those whose times are compared."""
    return [t for t in logs.trials if t.workload in rules.names and len(t.clock)]


def mixtures(trials: list[Trial], classes: list[str]) -> dict[str, dict[str, Trial]]:
    """workload -> class -> a trial of it, for workloads on which there are two classes or more."""
    found: dict[str, dict[str, Trial]] = {}
    for trial, name in zip(trials, classes, strict=True):
        if name != UNKNOWN:
            found.setdefault(trial.workload, {}).setdefault(name, trial)
    return {workload: named for workload, named in found.items() if len(named) > 1}


def refuse(mixed: Mapping[str, Mapping[str, Trial]]) -> NoReturn:
    """Refuse to compare seconds of different classes, of which there are some.

    Raises:
        MixedHardware: naming classes, folders, and what can be done.
    """
    workload, named = next(iter(mixed.items()))
    lines = [f"\n  {name}: e.g. {trial.folder}" for name, trial in list(named.items())[:SHOWN]]
    more = f", as on {len(mixed) - 1} more workloads" if len(mixed) > 1 else ""
    raise MixedHardware(
        f"the trials on {workload} were run on {len(named)} hardware classes{more}:"
        f"{''.join(lines)}\nseconds of different hardware say nothing about submissions; "
        "--normalise auto scales them by the calibrations in the folders, --time steps compares "
        "steps, --mix-hardware compares the seconds all the same, and marks it"
    )
