"""Which hardware class was a trial run on?  What environment.json says, else GPU model and count,
or CPU model and cores, of the metadata; "" where nothing tells.
"""

from __future__ import annotations

import re
import tomllib
from functools import cache
from importlib.resources import files
from typing import Any

from scoring.errors import LogsError
from scoring.logs.read_json import read_json
from scoring.logs.trial import Trial

MOST_LETTERS = 100  # of a class
UNKNOWN = ""


def class_of(trial: Trial) -> str:
    """The class of a trial, as in "8xV100-16GB" or "AMD EPYC 7B12, 8 cores"."""
    told = _told(trial, "environment.json").get("hardware_class")
    if isinstance(told, str) and told:
        return _line(told)
    return class_of_metadata(_told(trial, "meta_data_0.json"))


def class_of_metadata(told: dict[str, Any]) -> str:
    """The class that AlgoPerf's metadata name; "" if they name none."""
    model, cpu = told.get("gpu_model_name"), told.get("cpu_model_name")
    count, cores = told.get("gpu.count", told.get("gpu_count")), told.get("cpu_count")
    if isinstance(model, str) and model and _count(count):
        return gpu_class(_line(model), _count(count))
    if isinstance(cpu, str) and cpu and count == 0 and _count(cores):
        return cpu_class(_line(cpu), _count(cores))
    return UNKNOWN


def gpu_class(name: str, count: int) -> str:
    """Of `count` GPUs that the system calls `name`."""
    words = set(re.split("[^0-9a-z]+", name.lower()))
    models = (m["model"] for m in table()["models"] if words.issuperset(m["words"]))
    return f"{count}x{next(models, ' '.join(name.split()))}"


def cpu_class(name: str, cores: int) -> str:
    """Of a CPU and how many of its cores compute."""
    text = name
    for mark in table()["marks"]:
        text = re.sub(re.escape(mark), " ", text, flags=re.IGNORECASE)
    words = [word for word in text.split() if word.lower() not in table()["left_out"]]
    return f"{' '.join(words) or 'unknown CPU'}, {cores} core{'s' * (cores != 1)}"


@cache
def table() -> dict[str, Any]:
    """The file classes.toml."""
    path = files("scoring.hardware") / "classes.toml"
    return tomllib.loads(path.read_text(encoding="utf-8"))


def _told(trial: Trial, name: str) -> dict[str, Any]:
    try:
        return read_json(trial.folder / name)
    except LogsError:
        return {}  # what cannot be read tells nothing; a hardware class is no part of a score


def _count(value: object) -> int:
    """Of devices or cores; 0 if it is no such number."""
    return value if type(value) is int and 0 < value < 1_000_000 else 0


def _line(text: str) -> str:
    """No control characters, no more letters than a class has."""
    return "".join(c for c in text if c.isprintable())[:MOST_LETTERS]
