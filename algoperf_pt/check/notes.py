"""Where do findings of a run go?  Into a file, each at once: the process may be killed."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from algoperf_pt.check.findings import Finding

_SHOWN = 3  # names in one finding


class Notes:
    """Findings of one workload.

    Args:
        path: of the file; a line of JSON for each.
        workload: its name.
    """

    def __init__(self, path: Path, workload: str) -> None:
        self._path, self._workload = path, workload
        self._told: set[tuple[str, str]] = set()

    def say(
        self, check: str, verdict: str, text: str, when: str = "", fix: str = "", line: str = ""
    ) -> None:
        """Write a finding.  The same thing is said once, whenever else it is seen."""
        if (check, text) in self._told:
            return
        self._told.add((check, text))
        evidence = f"{text}, {when}" if when else text
        self.write(asdict(Finding(check, verdict, evidence, line, fix, self._workload)))

    def write(self, entry: dict[str, Any]) -> None:
        """Append a line."""
        with self._path.open("a") as file:
            file.write(json.dumps(entry) + "\n")


def few(names: Sequence[str]) -> str:
    """The first of them, and how many there are."""
    shown = ", ".join(names[:_SHOWN])
    return shown + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
