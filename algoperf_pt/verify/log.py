"""Is the event log whole?  Each line's hash covers the one before it; where the chain must end
stands in result.json and in the checkpoints' manifests.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from algoperf_pt.records import EVENTS, FIRST_HASH, next_hash

_AFTER_THE_END = ("failed", "warning")  # may follow the line that result.json names
_OF_EVERY_EVENT = ("time", "kind")


class Broken(Exception):
    """What does not agree, with file and line."""


@dataclass(frozen=True)
class Log:
    """A sound event log.

    Args:
        events: its lines, without their hashes.
        hashes: of the lines.
        torn: whether the last line is unfinished, as a kill may leave it.
    """

    events: list[dict[str, Any]]
    hashes: list[str]
    torn: bool

    def of(self, kind: str) -> list[dict[str, Any]]:
        """The events of one kind."""
        return [event for event in self.events if event.get("kind") == kind]


def content(event: dict[str, Any]) -> dict[str, Any]:
    """What an event says, beside when and of which kind it is."""
    return {key: value for key, value in event.items() if key not in _OF_EVERY_EVENT}


def read_log(folder: Path) -> Log:
    """The events of a trial.

    Raises:
        Broken: naming the first line that does not follow from those before it.
    """
    path = folder / EVENTS
    if not path.is_file():
        raise Broken(f"{EVENTS}: missing")
    *lines, rest = path.read_text(encoding="utf-8", errors="replace").split("\n")
    running, events, hashes = FIRST_HASH, [], []
    for number, line in enumerate(lines, 1):
        event = _event(line, number)
        found = event.pop("hash", None)
        running = next_hash(running, event)
        if found != running:
            raise Broken(f"{EVENTS}:{number}: does not follow from the lines before it")
        events.append(event)
        hashes.append(running)
    if not events:
        raise Broken(f"{EVENTS}: holds no event")
    return Log(events, hashes, torn=bool(rest))


def _event(line: str, number: int) -> dict[str, Any]:
    try:
        event = json.loads(line)
    except (ValueError, RecursionError):
        event = None
    if not isinstance(event, dict):
        raise Broken(f"{EVENTS}:{number}: is no event")
    return event


def check_end(log: Log, result: dict[str, Any] | None) -> bool:
    """Whether result.json says where the log ends; a log without it may have lost its tail.

    Raises:
        Broken: lines are missing, or lines follow that cannot.
    """
    anchor = (result or {}).get("log_hash")
    if anchor is None:
        return False
    if anchor not in log.hashes:
        raise Broken(
            f"{EVENTS}:{len(log.events) + 1}: lines are missing: the log ends before the line that "
            "result.json names as its last"
        )
    end = log.hashes.index(anchor) + 1
    for number, event in enumerate(log.events[end:], end + 1):
        if event.get("kind") not in _AFTER_THE_END:
            raise Broken(f"{EVENTS}:{number}: {event.get('kind')!r} after the end of the trial")
    if log.torn:
        raise Broken(f"{EVENTS}:{len(log.events) + 1}: an unfinished line after the end")
    return True
