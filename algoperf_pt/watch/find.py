"""Which trial folders are there, and what has changed in them?  Walks the layout
<submission>/study_<k>/<workload>/trial_<n>, from any of its levels on, and follows no link.
"""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from algoperf_pt.driver import CONFIG
from algoperf_pt.heartbeat import CLOCK_FILE
from algoperf_pt.records import ALL_ROWS, EVAL_ROWS, EVENTS
from algoperf_pt.result import RESULT
from algoperf_pt.sweep.child import CONSOLE, PLANNED

Stamp = tuple[int, int, int]  # ns of the last change, bytes, inode

_WATCHED = frozenset((CONFIG, PLANNED, CLOCK_FILE, EVAL_ROWS, ALL_ROWS, EVENTS, CONSOLE, RESULT))
_ATTEMPT = re.compile(r"flags_\d{1,9}\.json", re.ASCII)
_STUDY = re.compile(r"study_(\d{1,9})", re.ASCII)
_TRIAL = re.compile(r"trial_(\d{1,9})", re.ASCII)
_DEEPEST = 8  # levels below the folder that is watched
_MOST_ENTRIES = 100_000  # of a folder


@dataclass(frozen=True)
class Place:
    """A trial folder, and what its path says."""

    submission: str
    study: int
    workload: str
    trial: int
    folder: str


@dataclass(frozen=True)
class Listing:
    """What lies in a trial folder: the stamps of the watched files, and the attempts begun."""

    stamps: dict[str, Stamp]
    attempts: int


@dataclass
class Walk:
    """One walk over the tree.

    Args:
        root: the folder that is watched.
        most: trial folders that are looked at.
    """

    root: Path
    most: int = 20_000
    notes: list[str] = field(default_factory=list)
    links: int = 0
    _found: int = 0

    def places(self) -> Iterator[Place]:
        """All trial folders, as the file system lists them."""
        above = self.root.parts
        yield from self._below(str(self.root), above, _DEEPEST)
        if self._found > self.most:
            self.notes.append(f"more than {self.most:,} trials: the rest is not shown")
        if self.links:
            self.notes.append(f"links are not followed: {self.links}")

    def _below(self, folder: str, parts: tuple[str, ...], deep: int) -> Iterator[Place]:
        place = self._place(folder, parts)
        if place is not None:
            self._found += 1
            if self._found <= self.most:
                yield place
            return
        for name, inner in self._folders(folder) if deep else ():
            if self._found > self.most:
                return
            yield from self._below(inner, (*parts, name), deep - 1)

    def _place(self, folder: str, parts: tuple[str, ...]) -> Place | None:
        if len(parts) < 4:
            return None
        study, trial = _STUDY.fullmatch(parts[-3]), _TRIAL.fullmatch(parts[-1])
        if study is None or trial is None:
            return None
        above = parts[len(self.root.parts) : -3] or parts[-4:-3]
        return Place("/".join(above), int(study[1]), parts[-2], int(trial[1]), folder)

    def _folders(self, folder: str) -> list[tuple[str, str]]:
        found = []
        try:
            with os.scandir(folder) as entries:
                for count, entry in enumerate(entries):
                    if count >= _MOST_ENTRIES:
                        self.notes.append(f"a folder has more than {_MOST_ENTRIES:,} entries")
                        break
                    self.links += entry.is_symlink()
                    if entry.is_dir(follow_symlinks=False) and not entry.name.startswith("."):
                        found.append((entry.name, entry.path))
        except OSError as error:
            if not isinstance(error, FileNotFoundError):
                self.notes.append(f"a folder cannot be read: {error.strerror}")
        return found


def listing(folder: str) -> Listing:
    """The watched files of a trial folder; nothing where it is gone or closed."""
    stamps: dict[str, Stamp] = {}
    attempts = 0
    try:
        with os.scandir(folder) as entries:
            for count, entry in enumerate(entries):
                if count >= _MOST_ENTRIES:
                    break
                attempts += bool(_ATTEMPT.fullmatch(entry.name))
                if entry.name in _WATCHED:
                    found = entry.stat(follow_symlinks=False)
                    stamps[entry.name] = (found.st_mtime_ns, found.st_size, found.st_ino)
    except OSError:
        pass
    return Listing(stamps, attempts)
