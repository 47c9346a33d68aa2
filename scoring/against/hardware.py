"""On what were trials run?  Times of different machines are not compared unless somebody says so,
and then by steps to target.
"""

from __future__ import annotations

import re

from scoring.errors import LogsError, RulesError
from scoring.logs.trial import Logs, Trial

UNKNOWN = "unknown hardware"


def hardware_of(logs: Logs) -> tuple[str, ...]:
    """What the metadata name, e.g. "8x Tesla V100-SXM2-16GB"; one trial of each study is asked."""
    asked: dict[tuple[str, str, str], Trial] = {}
    for trial in logs.trials:
        asked.setdefault((trial.submission, trial.workload, trial.study), trial)
    return tuple(sorted({_told(trial) for trial in asked.values()}))


def is_of(hardware: str, wanted: str) -> bool:
    """Whether "8x Tesla V100-SXM2-16GB" is of class "8xV100-16GB": the number and every word."""
    count, _, words = wanted.partition("x")
    found, _, model = hardware.partition("x ")
    known = re.split("[^0-9a-z]+", model.lower())
    return found == count and all(word.lower() in known for word in words.split("-"))


def same_hardware(found: tuple[str, ...], wanted: str) -> bool:
    """Whether all of it is of a class."""
    return all(name == wanted or is_of(name, wanted) for name in found)


def refuse(found: tuple[str, ...], wanted: str) -> None:
    """Refuse to compare seconds of different machines.

    Raises:
        RulesError: naming both, and what can be done.
    """
    if not same_hardware(found, wanted):
        raise RulesError(
            f"the logs are of {', '.join(found)}, the published times of {wanted}: seconds of "
            "different machines say nothing; --other-hardware compares steps to target instead, "
            f"--hardware {wanted} states that they are the same"
        )


def _told(trial: Trial) -> str:
    try:
        told = trial.metadata()
    except LogsError:
        return UNKNOWN
    model, count = told.get("gpu_model_name"), told.get("gpu_count", told.get("gpu.count"))
    if isinstance(model, str) and model and isinstance(count, int):
        return f"{count}x {model[:80]}"
    cpu = told.get("cpu_model_name")
    return f"CPU {cpu[:80]}" if isinstance(cpu, str) and cpu and not count else UNKNOWN
