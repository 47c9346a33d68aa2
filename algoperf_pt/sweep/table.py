"""How are all the trials doing?  A live table on a terminal, plain lines elsewhere; at the end the
trials that failed, with the last lines of their consoles.
"""

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from algoperf_pt.eval_rows import best, read_eval_rows
from algoperf_pt.heartbeat import CLOCK_FILE, Phase, read_clock
from algoperf_pt.status import FINAL, STOPPED, Status
from algoperf_pt.sweep.backends import Running
from algoperf_pt.sweep.child import CONSOLE
from algoperf_pt.sweep.outcome import Outcome
from algoperf_pt.sweep.plan import Planned

Outcomes = Mapping[Planned, Outcome]
WIDTH = 140  # columns of text where there is no terminal
_REDRAW = 1.0  # s
_PLAIN = 60.0  # s between plain lines on what is running
_COLOURS: dict[Status, str] = {Status.REACHED: "green", **dict.fromkeys(STOPPED, "yellow")}
_USUAL = FINAL | {Status.PAUSED}


class Display(Protocol):
    """What the user sees of a sweep."""

    def begin(self, place: str, outcomes: Outcomes) -> None:
        """Before the first start; `outcomes`: what was over before, or was refused."""

    def started(self, planned: Planned, running: Running) -> None:
        """An attempt has begun."""

    def finished(self, planned: Planned, outcome: Outcome) -> None:
        """An attempt has ended, or was refused."""

    def refresh(self, outcomes: Outcomes, places: Mapping[Planned, str]) -> None:
        """Some time has passed; `places`: where the running trials run."""

    def note(self, text: str) -> None:
        """Something to say between trials."""

    def stopping(self, running: int, kill: bool) -> None:
        """The user has asked to stop."""

    def end(self, outcomes: Outcomes) -> None:
        """All is over."""


def make_display(kind: str, trials: Sequence[Planned]) -> Display:
    """What `display=` asks for: auto, rich, plain or none."""
    if kind == "rich" or (kind == "auto" and sys.stdout.isatty()):
        return LiveTable(trials)
    return Lines(trials, silent=kind == "none")


def progress(planned: Planned) -> str:
    """How far a running trial is: share of its budget, best value of the metric."""
    clock = read_clock(planned.folder / CLOCK_FILE)
    if clock is None:
        return "starts"
    timed, phase = clock
    doing = ", evaluates" if phase is Phase.EVAL else ""
    found = _best(planned)
    value = "" if found is None else f", {planned.spec.metric} {found:.4g}"
    return f"{100 * timed / planned.spec.budget:.0f} %{value}{doing}"


def told(planned: Planned, outcome: Outcome) -> str:
    """How a trial ended, in a few words."""
    if outcome.status is None:
        return "waits"
    seconds = (outcome.result or {}).get("time_to_target", {}).get("validation")
    if outcome.status is Status.REACHED and seconds is not None:
        return f"reached {seconds:.4g} s"
    if outcome.status is Status.PAUSED:
        return f"pauses at {(outcome.result or {}).get('elapsed', 0.0):.4g} s"
    return str(outcome.status.value).replace("_", " ")


def colour(status: Status) -> str:
    """The colour of an end."""
    return _COLOURS.get(status, "default" if status in _USUAL else "red")


class Lines:
    """A line for each start and end, and now and then one on what is running."""

    def __init__(self, trials: Sequence[Planned], silent: bool = False) -> None:
        self._trials, self._silent = trials, silent
        self._done, self._next = 0, time.monotonic() + _PLAIN

    def begin(self, place: str, outcomes: Outcomes) -> None:
        """How many, where."""
        self._done = len(outcomes)
        over = sum(outcome.before for outcome in outcomes.values())
        self._print(f"{len(self._trials)} trials, {over} of them over; {place}")
        self._print(f"the console of each is {CONSOLE} in its folder")
        for planned, outcome in outcomes.items():
            if not outcome.before:
                self._print(f"{planned.label}: not started: {outcome.message}")

    def started(self, planned: Planned, running: Running) -> None:
        """One line."""
        self._print(f"{planned.label}: starts ({running.where})")

    def finished(self, planned: Planned, outcome: Outcome) -> None:
        """One line."""
        self._done += outcome.status is not Status.PAUSED
        why = f": {outcome.message}" if outcome.message and not outcome.good else ""
        counted = f"[{self._done}/{len(self._trials)}]"
        self._print(f"{counted} {planned.label}: {told(planned, outcome)}{why}")

    def refresh(self, outcomes: Outcomes, places: Mapping[Planned, str]) -> None:
        """Once a minute, a line on each running trial."""
        if time.monotonic() >= self._next and places:
            self._next = time.monotonic() + _PLAIN
            for planned, where in places.items():
                self._print(f"{planned.label}: {progress(planned)} ({where})")

    def note(self, text: str) -> None:
        """One line."""
        self._print(text)

    def stopping(self, running: int, kill: bool) -> None:
        """One line."""
        self._print(_stopping(running, kill))

    def end(self, outcomes: Outcomes) -> None:
        """The table, and what failed."""
        console = Console(soft_wrap=True, width=None if sys.stdout.isatty() else WIDTH)
        if not self._silent:
            console.print(grid(self._trials, outcomes, {}))
        print_failures(console, outcomes)

    def _print(self, text: str) -> None:
        if not self._silent:
            print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)


class LiveTable:
    """A table of all trials that is redrawn in place."""

    def __init__(self, trials: Sequence[Planned], console: Console | None = None) -> None:
        self._trials, self._console = trials, console or Console()
        self._live = Live(console=self._console, auto_refresh=False, transient=True)
        self._place, self._note, self._next = "", "", 0.0

    def begin(self, place: str, outcomes: Outcomes) -> None:
        """Draw it."""
        self._place = place
        self._live.start()
        self.refresh(outcomes, {})

    def started(self, planned: Planned, running: Running) -> None:
        """Redraw soon."""
        self._next = 0.0

    def finished(self, planned: Planned, outcome: Outcome) -> None:
        """Redraw soon; a failure stays above the table."""
        self._next = 0.0
        if not outcome.good and outcome.status not in STOPPED:
            text = f"{planned.label}: {told(planned, outcome)}: {outcome.message}"
            self._console.print(text, highlight=False, markup=False)

    def refresh(self, outcomes: Outcomes, places: Mapping[Planned, str]) -> None:
        """Redraw, if it is time to."""
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + _REDRAW
        over = sum(outcome.status in FINAL for outcome in outcomes.values())
        foot = f"{over} of {len(self._trials)} over, {len(places)} running; {self._place}"
        table = grid(self._trials, outcomes, places)
        self._live.update(Group(table, Text(foot), Text(self._note)), refresh=True)

    def note(self, text: str) -> None:
        """Above the table."""
        self._console.print(text, highlight=False, markup=False)

    def stopping(self, running: int, kill: bool) -> None:
        """Say so below the table."""
        self._note, self._next = _stopping(running, kill), 0.0

    def end(self, outcomes: Outcomes) -> None:
        """The table as it is at the end, and what failed."""
        self._live.stop()
        self._console.print(grid(self._trials, outcomes, {}))
        print_failures(self._console, outcomes)


def grid(trials: Sequence[Planned], outcomes: Outcomes, places: Mapping[Planned, str]) -> Table:
    """A row for each workload, submission and study, a column for each trial."""
    numbers = sorted({planned.trial for planned in trials})
    table = Table(title_justify="left")
    for name in ("workload", "submission", "study", *(f"trial {number}" for number in numbers)):
        table.add_column(name)
    rows: dict[tuple[str, str, int], dict[int, Text]] = {}
    for planned in trials:
        row = rows.setdefault((planned.workload, planned.submission, planned.study), {})
        row[planned.trial] = _cell(planned, outcomes, places)
    for (workload, submission, study), row in rows.items():
        cells = [row.get(number, Text("")) for number in numbers]
        table.add_row(workload, submission, str(study), *cells)
    return table


def print_failures(console: Console, outcomes: Outcomes) -> None:
    """What went wrong, with the last lines of the console, for each trial that failed."""
    for planned, outcome in _failures(outcomes):
        console.print(f"\n{planned.label}: {told(planned, outcome)}", style="red", highlight=False)
        console.print(f"  {outcome.message}", highlight=False, markup=False)
        console.print(f"  folder: {planned.folder}", highlight=False, markup=False)
        for line in outcome.tail:
            console.print(f"  | {line}", highlight=False, markup=False)


def _failures(outcomes: Outcomes) -> Iterator[tuple[Planned, Outcome]]:
    for planned, outcome in outcomes.items():
        if not outcome.good and outcome.status not in (None, *STOPPED):
            yield planned, outcome


def _cell(planned: Planned, outcomes: Outcomes, places: Mapping[Planned, str]) -> Text:
    outcome = outcomes.get(planned)
    if planned in places:
        return Text(progress(planned), style="cyan")
    if outcome is None or outcome.status is None:
        return Text("waits", style="dim")
    return Text(told(planned, outcome), style=colour(outcome.status))


def _best(planned: Planned) -> float | None:
    """Best validation value so far, from the evaluation rows."""
    try:
        rows = read_eval_rows(planned.folder)
    except OSError:
        return None
    spec = planned.spec
    return best((row.get(f"validation/{spec.metric}") for row in rows), spec.direction)


def _stopping(running: int, kill: bool) -> str:
    if kill:
        return f"killing {running} trials"
    return f"stopping: {running} trials save a checkpoint and end; once more kills them"
