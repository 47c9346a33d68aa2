"""What is shown of a trial?  One record that the terminal and the browser share, and the words and
numbers as text.  All text in it is harmless (clean.py).
"""

from dataclasses import dataclass, field
from enum import Enum

from algoperf_pt.status import FINAL, TO_BE_CONTINUED, Status
from algoperf_pt.watch.extrapolate import Guess
from algoperf_pt.watch.facts import Facts
from algoperf_pt.watch.rows import Point


class Live(str, Enum):
    """What a trial does that has not ended; the others have a Status."""

    RUNNING = "running"
    STALLED = "stalled"  # it says nothing for longer than its supervisor would allow
    WAITING = "waiting"  # planned, not started
    UNREADABLE = "unreadable"  # its files do not tell


class Kind(str, Enum):
    """What statuses have in common: for order, colours, and what one asks to see."""

    ACTIVE = "active"
    FAILED = "failed"
    REACHED = "reached"
    STOPPED = "stopped"  # to be continued
    OVER = "over"


@dataclass(frozen=True)
class View:
    """A trial at one moment.  Times are seconds of its own clock.

    Args:
        key: names it in addresses.
        path: its folder below the one that is watched.
        state: Status or Live.
        doing: what it does, in a word: "train", "eval", ...
        silent: s since its last sign of life; None: it has ended, or nobody knows.
        step_time: s a step: the last ones while it runs, else the mean of the whole.
        reached_at: when validation met the target.
        guess: when it may, extrapolated; None: reached, ended, or it cannot be told.
        points: the learning curve.
    """

    key: str
    path: str
    submission: str
    study: int
    workload: str
    trial: int
    state: Status | Live
    facts: Facts = Facts()
    metric: str = ""
    doing: str = ""
    silent: float | None = None
    best: Point | None = None
    used: float | None = None
    step: float | None = None
    step_time: float | None = None
    evaluations: int = 0
    attempts: int = 0
    reached_at: float | None = None
    guess: Guess | None = None
    message: str = ""
    notes: tuple[str, ...] = ()
    points: tuple[Point, ...] = field(default=(), repr=False)

    @property
    def kind(self) -> Kind:
        """What the state has in common with others."""
        if isinstance(self.state, Live):
            return Kind.FAILED if self.state is Live.UNREADABLE else Kind.ACTIVE
        if self.state is Status.REACHED:
            return Kind.REACHED
        if self.state in TO_BE_CONTINUED:
            return Kind.STOPPED
        return Kind.OVER if self.state in FINAL else Kind.FAILED

    @property
    def share(self) -> float | None:
        """Of the budget used."""
        budget = self.facts.budget
        return None if self.used is None or not budget else self.used / budget

    @property
    def name(self) -> str:
        """The trial in a line of text."""
        return f"{self.workload} / {self.submission}, study {self.study}, trial {self.trial}"


def state_words(view: View) -> str:
    """The state, and what is odd about it."""
    words = str(view.state.value).replace("_", " ")
    if view.state is Live.RUNNING and view.doing != "train":
        words += f", {view.doing}"
    if view.state is Live.STALLED and view.silent is not None:
        words += f" {seconds(view.silent)}"
    return words


def used_words(view: View) -> str:
    """Time used of the budget."""
    if view.used is None:
        return "–"
    share = "" if view.share is None else f" ({100 * view.share:.0f} %)"
    return f"{seconds(view.used)}{share}"


def target_words(view: View, short: bool = False) -> str:
    """When the target was reached, or may be: the latter with ~, and its range unless `short`."""
    if view.reached_at is not None:
        return f"at {seconds(view.reached_at)}"
    guess, budget = view.guess, view.facts.budget
    if guess is None:
        return "–"
    if budget is not None and guess.low > budget:
        return "~ not in time" if short else "~ not within the budget"
    if short:
        return f"~ at {seconds(guess.time)}"
    high = "?" if guess.high == float("inf") else seconds(guess.high)
    return f"~ at {seconds(guess.time)} ({seconds(guess.low)} – {high})"


def seconds(value: float) -> str:
    """Seconds as a person reads them: 43.2 s, 12.3 min, 5.41 h."""
    if abs(value) >= 1e9:
        return f"{value:.3g} s"
    if value < 120:
        return f"{value:.1f} s"
    return f"{value / 60:.1f} min" if value < 7200 else f"{value / 3600:.2f} h"


def figure(value: float | None, digits: int = 4) -> str:
    """A number with a few digits; a dash where there is none."""
    return "–" if value is None else f"{value:.{digits}g}"
