"""What did a preflight find?  A line a check, what to change, and a verdict."""

import sys
from dataclasses import dataclass, field
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

OK, WARNING, PROBLEM, NOT_DONE = "ok", "warning", "problem", "not done"
_COLOURS = {OK: "green", WARNING: "yellow", PROBLEM: "red", NOT_DONE: "dim"}
_VERDICTS = {OK: "ready", WARNING: "ready with warnings", PROBLEM: "not ready"}


@dataclass(frozen=True)
class Line:
    """One check.

    Args:
        check: its name.
        verdict: OK, WARNING, PROBLEM or NOT_DONE.
        text: what was found, with units.
        fix: what to change, if anything.
    """

    check: str
    verdict: str
    text: str
    fix: str = ""


@dataclass
class Report:
    """All checks of one trial.

    Args:
        title: what was looked at.
        lines: in the order of the checks.
        facts: the figures behind them, for --json.
    """

    title: str
    lines: list[Line] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)

    def say(self, check: str, verdict: str, text: str, fix: str = "") -> None:
        """Add a line."""
        self.lines.append(Line(check, verdict, printable(text), printable(fix)))

    @property
    def worst(self) -> str:
        """OK, WARNING or PROBLEM; a check that was not done is as good as a warning."""
        found = {line.verdict for line in self.lines}
        if PROBLEM in found:
            return PROBLEM
        return WARNING if found & {WARNING, NOT_DONE} else OK

    @property
    def verdict(self) -> str:
        """In words."""
        return _VERDICTS[self.worst]

    @property
    def exit_code(self) -> int:
        """1 if the trial should not be started as it is."""
        return int(self.worst == PROBLEM)

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for --json."""
        lines = [vars(line) for line in self.lines]
        return {"title": self.title, "verdict": self.verdict, "checks": lines, **self.facts}

    def print(self) -> None:
        """A table on a terminal; elsewhere plain lines that are never wrapped."""
        if sys.stdout.isatty():
            Console().print(self._table())
        else:
            print(self.title)
            width = max(len(line.check) for line in self.lines)
            for line in self.lines:
                print(f"{line.verdict:8}  {line.check.ljust(width)}  {line.text}")
        for line in self.lines:
            if line.fix:
                print(f"change: {line.check}: {line.fix}")
        print(self.verdict)

    def _table(self) -> Table:
        table = Table(title=self.title, title_justify="left", box=box.SIMPLE_HEAD)
        for name in ("check", "", "found"):
            table.add_column(name)
        for line in self.lines:
            mark = f"[{_COLOURS[line.verdict]}]{line.verdict}[/]"
            table.add_row(line.check, mark, line.text.replace("[", r"\["))
        return table


def printable(text: str) -> str:
    """One line that a terminal does not obey."""
    return "".join(c if c.isprintable() else " " for c in " ".join(text.split()))


def duration(seconds: float) -> str:
    """With a unit that fits: ms, s, min, h."""
    if seconds < 1:
        return f"{1e3 * seconds:.3g} ms"
    if seconds < 120:
        return f"{seconds:.3g} s"
    return f"{seconds / 60:.1f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def gigabytes(count: float) -> str:
    """Bytes in GB of 10^9, or in MB where they are few."""
    return f"{count / 1e9:.2f} GB" if count >= 1e8 else f"{count / 1e6:.2f} MB"
