"""How are the trials doing, on a terminal?  A table that is redrawn in place and listens to a few
keys; plain lines where there is no terminal.
"""

import sys
import time
from collections.abc import Callable, Iterator, Sequence

from rich.box import HEAVY_HEAD
from rich.console import Console
from rich.console import Group as Lines
from rich.live import Live as Drawing
from rich.table import Table
from rich.text import Text

from algoperf_pt.status import Status
from algoperf_pt.sweep.table import WIDTH, colour
from algoperf_pt.watch.keys import Keys
from algoperf_pt.watch.tree import GROUPINGS, Group, Snapshot, Tree, counts, groups
from algoperf_pt.watch.view import (
    Kind,
    Live,
    View,
    figure,
    state_words,
    target_words,
    used_words,
)

MARK = "~ extrapolated: a line over log time through the last evaluations"
_LIVE = {Live.RUNNING: "cyan", Live.STALLED: "red", Live.WAITING: "dim", Live.UNREADABLE: "red"}
_HELP = "q quit, g group, f filter, arrows or j k space scroll"
_FRAME = 8  # lines of the screen that are no trials
_WIDE = 120  # columns of text from which on all is shown
_RIGHT = ("best", "target", "used", "evals", "s/step", "attempts")
SHOWN: tuple[Kind | None, ...] = (None, *Kind)


def print_once(tree: Tree, by: str) -> None:
    """One look at all trials."""
    console = _console()
    snapshot = tree.look()
    console.print(table(snapshot.views, by, console.width >= _WIDE))
    console.print(Text(_foot(tree, snapshot, snapshot.views)))


def follow(tree: Tree, by: str, refresh: float) -> None:
    """Until q or Ctrl-C: a table on a terminal, lines elsewhere."""
    if sys.stdout.isatty():
        _Screen(tree, by, refresh).run()
    else:
        _print_changes(tree, refresh)


def table(
    views: Sequence[View], by: str, wide: bool, begin: int = 0, most: int | None = None
) -> Table:
    """A row for each trial, under a line for each group.

    Args:
        views: the trials.
        by: one of GROUPINGS.
        wide: whether there is room for everything.
        begin: rows to leave out at the top.
        most: rows to show; None: all.
    """
    made = Table(pad_edge=False, box=None if not wide else HEAVY_HEAD)
    rows = [row for group in groups(views, by) for row in _rows(group, by, wide)]
    for name in _cells(None, by, wide):
        made.add_column(name, justify="right" if name in _RIGHT else "left", no_wrap=True)
    for row in rows[begin : None if most is None else begin + most]:
        made.add_row(*row)
    return made


def _rows(group: Group, by: str, wide: bool) -> Iterator[list[Text]]:
    before = list(_cells(None, by, wide)).index("reaches target" if wide else "status") - 1
    summary = Text(counts(group.views), style="dim")
    yield [Text(group.title, style="bold"), *[Text("")] * before, summary]
    for view in group.views:
        cells = {name: Text(value) for name, value in _cells(view, by, wide).items()}
        cells["status"].stylize(_colour(view.state))
        yield list(cells.values())


def _cells(view: View | None, by: str, wide: bool) -> dict[str, str]:
    """What stands in which column; the columns alone for None."""
    names = {"workload": ("submission",), "submission": ("workload",)}.get(by, GROUPINGS[:2])
    if view is None:
        view = View("", "", "", 0, "", 0, Live.WAITING)
    best, share = view.best, view.share
    narrow = {
        **{name: str(getattr(view, name)) for name in names},
        "trial": f"{view.study}/{view.trial}",
        "status": state_words(view),
        "best": figure(None if best is None else best.validation),
        "target": figure(view.facts.target),
    }
    if not wide:
        used = "–" if share is None else f"{100 * share:.0f} %"
        return {**narrow, "used": used, "reaches": target_words(view, short=True)}
    return {
        **narrow,
        "time used": used_words(view),
        "evals": str(view.evaluations),
        "s/step": figure(view.step_time, 2),
        "reaches target": target_words(view),
        "attempts": str(view.attempts),
    }


def _colour(state: Status | Live) -> str:
    return _LIVE[state] if isinstance(state, Live) else colour(state)


def _foot(tree: Tree, snapshot: Snapshot, shown: Sequence[View]) -> str:
    lines = [f"{tree.name}: {counts(snapshot.views)}; looked {time.strftime('%H:%M:%S')}"]
    lines += [MARK] if any(view.guess for view in shown) else []
    for view in shown:
        if view.kind is Kind.FAILED and view.message:
            lines.append(f"{view.name}: {view.message}")
    return "\n".join([*lines, *snapshot.notes])


def _print_changes(tree: Tree, refresh: float) -> None:
    """A line for each trial of which something new is known."""
    before: dict[str, tuple[object, ...]] = {}
    while True:
        for view in tree.look().views:
            known = (view.state, view.evaluations, view.attempts)
            if before.get(view.key) != known:
                before[view.key] = known
                print(f"{time.strftime('%H:%M:%S')} {_line(view)}", flush=True)
        time.sleep(refresh)


def _line(view: View) -> str:
    best = "" if view.best is None else f", {view.metric} {figure(view.best.validation)}"
    return f"{view.name}: {state_words(view)}{best}, {used_words(view)}, {target_words(view)}"


def _console() -> Console:
    return Console(soft_wrap=True, width=None if sys.stdout.isatty() else WIDTH, highlight=False)


class _Screen:
    """The table on the whole screen, and what the keys have asked for."""

    def __init__(self, tree: Tree, by: str, refresh: float) -> None:
        self._tree, self._by, self._refresh = tree, by, refresh
        self._console, self._begin, self._kind = Console(highlight=False), 0, SHOWN[0]
        self._snapshot = tree.look()

    def run(self) -> None:
        """Until q."""
        actions: dict[str, Callable[[], None]] = {
            **{"g": self._regroup, "f": self._refilter, "j": lambda: self._scroll(1)},
            **{"k": lambda: self._scroll(-1), " ": lambda: self._scroll(self._room())},
        }
        with Keys() as keys, Drawing(console=self._console, screen=True, auto_refresh=False) as on:
            due = time.monotonic() + self._refresh
            while True:
                on.update(self._draw(), refresh=True)
                key = keys.wait(due - time.monotonic())
                if key == "q":
                    return
                actions.get(key, lambda: None)()
                if time.monotonic() >= due:
                    self._snapshot = self._tree.look()
                    due = time.monotonic() + self._refresh

    def _draw(self) -> Lines:
        views = self._shown()
        self._scroll(0)
        head = f"{_HELP}; by {self._by}, {self._kind.value if self._kind else 'all'}"
        wide = self._console.width >= _WIDE
        made = table(views, self._by, wide, self._begin, self._room())
        foot = Text("\n".join(_foot(self._tree, self._snapshot, views).split("\n")[:4]))
        return Lines(Text(head, style="dim"), made, foot)

    def _shown(self) -> list[View]:
        views = self._snapshot.views
        return [view for view in views if self._kind is None or view.kind is self._kind]

    def _room(self) -> int:
        return max(1, self._console.height - _FRAME)

    def _regroup(self) -> None:
        self._by = GROUPINGS[(GROUPINGS.index(self._by) + 1) % len(GROUPINGS)]

    def _refilter(self) -> None:
        self._kind = SHOWN[(SHOWN.index(self._kind) + 1) % len(SHOWN)]

    def _scroll(self, lines: int) -> None:
        views = self._shown()
        rows = len(views) + len(groups(views, self._by))
        self._begin = max(0, min(self._begin + lines, rows - self._room()))
