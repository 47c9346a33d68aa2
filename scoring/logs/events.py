"""Do the evaluations say what the trial's own event log says?  events.jsonl, which this project's
trials have, holds each evaluation once more, in lines of which each one's hash covers the line
before it.  AlgoPerf's logs have no such file, and nothing but their form can be checked.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scoring.logs.open_file import read_file

FILE = "events.jsonl"
MOST_BYTES = 64 << 20  # an evaluation has about 1 kB
_FIRST = "0" * 64
_OWN = frozenset({"time", "kind"})  # of an event, and no part of a row

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Told:
    """What an event log says.

    Attributes:
        status: how the trial ended; "" if it does not say.
        contradiction: what it says otherwise than the evaluations; "" if nothing.
        note: why nothing was compared; "" if all was.
    """

    status: str = ""
    contradiction: str = ""
    note: str = ""


def compare(folder: Path, columns: Mapping[str, Floats]) -> Told:
    """The event log of a trial against the columns of its evaluations.

    A trial that was killed may have written the last row without its event.

    Raises:
        LogsError: events.jsonl is a link, no plain file or too large.
    """
    content = read_file(folder / FILE, MOST_BYTES)
    if content is None:
        return Told()
    events = _sound(content)
    if events is None:
        return Told(note=f"{FILE} is damaged: the evaluations were not compared with it")
    ends = [str(event["status"]) for event in events if "status" in event]
    rows = [event for event in events if event.get("kind") == "evaluation"]
    return Told(ends[-1] if ends else "", _contradiction(rows, columns))


def _contradiction(told: list[dict[str, Any]], columns: Mapping[str, Floats]) -> str:
    rows = min((len(column) for column in columns.values()), default=0)
    if not len(told) <= rows <= len(told) + 1:
        return f"{rows} evaluations; {FILE} knows {len(told)}"
    for number, event in enumerate(told):
        for name, value in event.items():
            if name in _OWN:
                continue
            if name not in columns:
                return f"no column {name!r:.80}; {FILE} has it"
            if not _equal(columns[name][number], value):
                found = f"{name} is {columns[name][number]}"
                return f"row {number + 1}: {found}; {FILE} says {value!r:.40}"
    return ""


def _sound(content: bytes) -> list[dict[str, Any]] | None:
    """The events; None if a line does not follow from those before it.  A last line without an end
    was being written when the trial was killed.
    """
    events, running = [], _FIRST
    try:
        for line in content.decode("utf-8").split("\n")[:-1]:
            event = json.loads(line)
            found = event.pop("hash")
            text = running + json.dumps(event, sort_keys=True)
            running = hashlib.sha256(text.encode()).hexdigest()
            if found != running:
                return None
            events.append(event)
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError):
        return None
    return events


def _equal(one: float, other: object) -> bool:
    if isinstance(other, bool) or not isinstance(other, int | float):
        return False
    return one == other or (math.isnan(one) and math.isnan(other))
