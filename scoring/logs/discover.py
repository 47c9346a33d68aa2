"""Which trial folders are there?  Walks the fixed levels of the layout, and no deeper:

    LOGS/[team/]submission/study_<k>/workload[_jax|_pytorch]/trial_<n>

LOGS may also be a single submission.  Files beside folders are nothing special; folders that do not
belong are reported.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from scoring.errors import LogsError
from scoring.logs.trial import Finding, natural

MOST_ENTRIES = 100_000  # of a folder
_STUDY = re.compile(r"study_\d{1,9}", re.ASCII)
_TRIAL = re.compile(r"trial_(\d{1,9})", re.ASCII)
_FRAMEWORK = re.compile(r"(.+)_(jax|pytorch)")
_TIMED = re.compile(r"(.+)-\d{4}(-\d\d){5}", re.ASCII)


@dataclass(frozen=True)
class Place:
    """A trial folder and what its path says."""

    submission: str
    study: str
    workload: str
    framework: str
    number: int
    folder: str


@dataclass
class Walk:
    """One tree of logs.

    Args:
        root: the folder.
        teams: there is a level of teams above the submissions.
        skip: folders to leave out with everything in them, resolved.
    """

    root: Path
    teams: bool = False
    skip: frozenset[Path] = frozenset()
    findings: list[Finding] = field(default_factory=list)

    def places(self) -> Iterator[Place]:
        """All trial folders, in natural order.

        Raises:
            LogsError: the folder is not there, or is not of this layout.
        """
        self.root = self.root.resolve()
        for name, folder in self._submissions():
            for study, inner in self._folders(folder):
                if _STUDY.fullmatch(study):
                    yield from self._study(name, study, inner)
                else:
                    self._ignored(inner, "no study_<k>")

    def _submissions(self) -> list[tuple[str, str]]:
        if not self.root.is_dir():
            raise LogsError(f"{self.root} is no folder; give one that holds submissions")
        if self._has_studies(str(self.root)):
            return [(self.root.name, str(self.root))]
        found = self._below(str(self.root), self.teams)
        if not found:
            raise LogsError(f"{self.root} holds no submission{self._hint()}")
        names = {name for name, _ in found}
        return [(_merged(name, names), folder) for name, folder in found]

    def _below(self, folder: str, teams: bool) -> list[tuple[str, str]]:
        found = []
        for name, inner in self._folders(folder):
            if teams:
                found += [(f"{name}/{own}", path) for own, path in self._below(inner, False)]
            elif self._has_studies(inner):
                found.append((name, inner))
            else:
                self._ignored(inner, "no submission: it holds no study_<k>")
        return found

    def _has_studies(self, folder: str) -> bool:
        return any(_STUDY.fullmatch(name) for name, _ in self._folders(folder, quiet=True))

    def _hint(self) -> str:
        """What somebody may have meant who gave this folder."""
        names = [name for name, _ in self._folders(str(self.root), quiet=True)]
        if any(_TRIAL.fullmatch(name) for name in names):
            return "; it looks like a workload's folder of a study, which lies two levels lower"
        if (self.root / "eval_measurements.csv").exists():
            return "; it is the folder of a trial, which lies three levels lower"
        inner = [self._below_quiet(name) for name in names]
        return "; its folders do: give one of them, or --teams" if any(inner) else (
            "; expected folders of the layout <submission>/study_<k>/<workload>/trial_<n>"
        )

    def _below_quiet(self, name: str) -> bool:
        inner = self._folders(str(self.root / name), quiet=True)
        return any(self._has_studies(folder) for _, folder in inner)

    def _study(self, submission: str, study: str, folder: str) -> Iterator[Place]:
        for name, inner in self._folders(folder):
            if _TRIAL.fullmatch(name):
                self._ignored(inner, "a trial folder without a workload's folder around it")
                continue
            matched = _FRAMEWORK.fullmatch(name)
            workload, framework = matched.groups() if matched else (name, "")
            for trial, path in self._folders(inner):
                number = _TRIAL.fullmatch(trial)
                if number:
                    yield Place(submission, study, workload, framework, int(number[1]), path)
                else:
                    self._ignored(path, "no trial_<n>")

    def _folders(self, folder: str, quiet: bool = False) -> list[tuple[str, str]]:
        """Folders in a folder, in natural order; links only to what lies within the tree."""
        found = []
        try:
            with os.scandir(folder) as entries:
                for count, entry in enumerate(entries, 1):
                    if count > MOST_ENTRIES:
                        raise LogsError(f"{folder} has more than {MOST_ENTRIES:,} entries")
                    if entry.is_dir() and self._allowed(entry, quiet):
                        found.append((_legible(entry.name), entry.path))
        except OSError as error:
            self._note("unreadable", folder, str(error.strerror), quiet)
        return sorted(found, key=lambda pair: natural(pair[0]))

    def _allowed(self, entry: os.DirEntry[str], quiet: bool) -> bool:
        if self.skip and Path(entry.path).resolve() in self.skip:
            return False
        if not entry.is_symlink() or Path(entry.path).resolve().is_relative_to(self.root):
            return True
        text = "a link out of the tree was not followed; give its target as further LOGS"
        self._note("unreadable", entry.path, text, quiet)
        return False

    def _ignored(self, path: str, text: str) -> None:
        self._note("ignored", path, text, False)

    def _note(self, kind: str, path: str, text: str, quiet: bool) -> None:
        if not quiet:
            self.findings.append(Finding(kind, Path(path), text))


def _legible(name: str) -> str:
    """Escapes for what no table and picture can show: bytes that are no UTF-8, control signs."""
    text = os.fsencode(name).decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _merged(name: str, names: set[str]) -> str:
    """`sub-2024-01-02-03-04-05` beside `sub` is a part of `sub`."""
    matched = _TIMED.fullmatch(name)
    return matched[1] if matched and matched[1] in names else name
