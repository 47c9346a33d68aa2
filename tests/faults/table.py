"""One readable table of faults: what was done, how often, how it ended, what the user was told, and
whether anything was lost.
"""

import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

_LONGEST = 230  # letters of a message in the table
_FOLDERS = re.compile(r"(?<![\w.])/(?:[^\s/:]+/)+")


@dataclass(frozen=True)
class Seen:
    """What one piece of harm led to.

    Args:
        outcome: how it ended, such as "rank_lost (23)".
        message: what the user was told.
        lost: what is not as it must be; empty: nothing was lost.
    """

    outcome: str
    message: str = ""
    lost: str = ""


@dataclass(frozen=True)
class Fault:
    """A kind of harm: a line of the table.

    Args:
        name: in the table.
        kept: what is checked each time.
        harm: (place, generator) -> what was seen; does the harm once.
        times: in the complete campaign.
        few: in the test suite; 0 where other tests do the same.
        outcomes: beginnings of the outcomes that are right.
        slow: it starts interpreters.
    """

    name: str
    kept: str
    harm: Callable[[Any, np.random.Generator], Seen]
    times: int
    few: int
    outcomes: tuple[str, ...]
    slow: bool = False


@dataclass
class Row:
    """A line of the table, filled."""

    fault: Fault
    outcomes: dict[str, int] = field(default_factory=dict)
    message: str = ""
    wrong: list[str] = field(default_factory=list)  # seed, and what was lost or unexpected

    def add(self, seen: Seen, label: str) -> None:
        """Count a case."""
        self.outcomes[seen.outcome] = self.outcomes.get(seen.outcome, 0) + 1
        self.message = self.message or seen.message
        if seen.lost:
            self.wrong.append(f"{label}: {seen.outcome}: {seen.lost}")
        elif not seen.outcome.startswith(self.fault.outcomes):
            self.wrong.append(f"{label}: {seen.outcome}: {seen.message}")


def run(
    fault: Fault, place: Any, times: int, seed: int, told: Callable[[str], None] = lambda text: None
) -> Row:
    """Do the harm `times` times; the same seed does the same."""
    row = Row(fault)
    for number in range(times):
        rng = np.random.default_rng([seed, zlib.crc32(fault.name.encode()), number])
        try:
            seen = fault.harm(place.fresh(), rng)
        except Exception as error:  # the campaign goes on, and the table says so
            seen = Seen(f"the harm could not be done: {type(error).__name__}", lost=str(error))
        row.add(seen, f"{fault.name}, number {number}")
        told(f"{fault.name} {number + 1}/{times}: {seen.outcome} {seen.lost}")
    return row


def markdown(rows: list[Row]) -> str:
    """The table."""
    lines = [
        ["fault", "times", "how it ended (exit code)", "what the user was told, e.g.", "checked"],
        ["---", "---:", "---", "---", "---"],
    ]
    for row in rows:
        total = sum(row.outcomes.values())
        most = sorted(row.outcomes.items(), key=lambda item: -item[1])
        ends = ", ".join(f"{count} {name}" for name, count in most)
        kept = row.fault.kept if not row.wrong else f"**{len(row.wrong)} NOT**: {row.fault.kept}"
        lines.append([row.fault.name, str(total), ends, _cell(row.message), kept])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _cell(text: str) -> str:
    """On one line, without the machine's folders and what would end the cell."""
    flat = _FOLDERS.sub(".../", " ".join(text.split())).replace("|", "/").replace("<", "&lt;")
    return flat if len(flat) <= _LONGEST else flat[:_LONGEST].rstrip() + " ..."
