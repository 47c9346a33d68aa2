"""How are all the trials below a folder doing?  One look after the other; each reads only what has
changed.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from algoperf_pt.watch.clean import clean
from algoperf_pt.watch.find import Walk
from algoperf_pt.watch.life import now
from algoperf_pt.watch.reader import TrialReader
from algoperf_pt.watch.view import Kind, View

GROUPINGS = ("workload", "submission", "study")
_PARTS = re.compile(r"(\d{1,18})")


@dataclass(frozen=True)
class Snapshot:
    """All trials at one moment.

    Args:
        views: in the order of workload, submission, study, trial.
        notes: what was odd about the tree.
    """

    views: tuple[View, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Group:
    """Trials that have a workload, a submission or a study in common."""

    title: str
    views: tuple[View, ...]


class Tree:
    """A folder of experiments.

    Args:
        root: the folder; `name` is it as it was given.
        stalled: s of silence after which a trial counts as stalled; None: as the trial itself says.
    """

    def __init__(self, root: Path, stalled: float | None = None) -> None:
        self.root, self.name = root.resolve(), clean(str(root), 400)
        self._stalled = stalled
        self._readers: dict[str, TrialReader] = {}

    def look(self) -> Snapshot:
        """All trials as their files say now."""
        walk, at = Walk(self.root), now()
        found = {place.folder: place for place in walk.places()}
        for gone in self._readers.keys() - found.keys():
            del self._readers[gone]
        for folder in found.keys() - self._readers.keys():
            path = folder[len(str(self.root)) :].lstrip("/") or folder
            self._readers[folder] = TrialReader(found[folder], path, self._stalled)
        views = sorted((reader.look(at) for reader in self._readers.values()), key=_order)
        return Snapshot(tuple(views), tuple(walk.notes))

    def log(self, key: str) -> list[str]:
        """The last lines of the console of a trial; none where there is no such trial."""
        readers = list(self._readers.values())
        return next((reader.log() for reader in readers if reader.key == key), [])


def groups(views: Sequence[View], by: str) -> list[Group]:
    """The trials by one of GROUPINGS."""
    found: dict[str, list[View]] = {}
    for view in views:
        title = f"study {view.study}" if by == "study" else str(getattr(view, by))
        found.setdefault(title, []).append(view)
    return [Group(title, tuple(found[title])) for title in sorted(found, key=natural)]


def counts(views: Sequence[View]) -> str:
    """How many trials are in which state, in words."""
    found: dict[str, int] = {}
    for view in sorted(views, key=lambda view: list(Kind).index(view.kind)):
        word = view.state.value.replace("_", " ")
        found[word] = found.get(word, 0) + 1
    return ", ".join(f"{number} {word}" for word, number in found.items()) or "no trials"


def natural(name: str) -> list[tuple[int, int, str]]:
    """Order of names: trial_2 before trial_10."""
    parts = _PARTS.split(name)
    return [(0, int(p), "") if p.isdecimal() and p.isascii() else (1, 0, p) for p in parts]


def _order(view: View) -> tuple[object, ...]:
    return (natural(view.workload), natural(view.submission), view.study, view.trial)
