"""What is in these folders?  Reads every trial of one or more trees of logs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scoring.errors import LogsError
from scoring.logs.discover import Place, Walk
from scoring.logs.events import Told, compare
from scoring.logs.open_file import read_file
from scoring.logs.read_csv import MOST_BYTES, Floats, Table, read_table
from scoring.logs.trial import CLOCK, STEPS, Finding, Logs, Trial, natural

FILE = "eval_measurements.csv"
_SAME = "accumulated_submission_time"  # the same numbers as `score` in all public logs
MOST_CLOCK = 1e12  # seconds or steps; the longest budget has 2e5 seconds
MOST_NUMBERS = 50_000_000  # of all files, 8 bytes each; the public logs of 0.5 have 1,130,000
VOID = frozenset({"integrity_error"})  # ends after which no figure of a trial can be believed


def read_logs(
    paths: Sequence[Path | str], teams: bool = False, skip: Sequence[Path | str] = ()
) -> Logs:
    """All trials below some folders, as one group.

    Args:
        paths: folders of submissions, or single submissions.
        teams: there is a level of teams above the submissions.
        skip: folders to leave out.

    Raises:
        LogsError: a folder is not there, or holds no trials of this layout.
    """
    trials: list[Trial] = []
    empty: list[Trial] = []
    findings: list[Finding] = []
    left_out = frozenset(Path(path).resolve() for path in skip)
    numbers = 0
    for path in paths:
        walk = Walk(Path(path), teams, left_out)
        for place in walk.places():
            trial, notes = _read(place)
            (trials if trial.columns else empty).append(trial)
            numbers += sum(column.size for column in trial.columns.values())
            if numbers > MOST_NUMBERS:
                raise LogsError(f"{path} has more than {MOST_NUMBERS:,} numbers; score parts of it")
            findings += notes
        findings += walk.findings
    if not trials:
        where = ", ".join(str(path) for path in paths)
        raise LogsError(f"no {FILE} could be read in {where} ({len(empty)} trial folders)")
    return Logs(tuple(_sorted(trials)), tuple(_sorted(empty)), tuple(findings))


def _sorted(trials: list[Trial]) -> list[Trial]:
    names = {name for t in trials for name in (t.submission, t.study, t.workload)}
    keys = {name: natural(name) for name in names}

    def key(trial: Trial) -> tuple[object, ...]:
        path = (keys[trial.submission], keys[trial.study], keys[trial.workload])
        return (*path, trial.framework, trial.number)

    return sorted(trials, key=key)


def _read(place: Place) -> tuple[Trial, list[Finding]]:
    """A trial, without columns if there is no file that can be read."""
    folder = Path(place.folder)
    path = (place.submission, place.study, place.workload, place.framework, place.number)
    trial = Trial(*path, folder=folder, columns={})
    try:
        content = read_file(f"{place.folder}/{FILE}", MOST_BYTES)
        if content is None:
            return trial, [Finding("missing", folder, f"no {FILE}")]
        if not content.strip():
            return trial, [Finding("missing", folder, f"{FILE} is empty")]
        table = read_table(content)
        columns = _clocked(table)
        told = compare(folder, table.columns)
        if told.contradiction:
            raise LogsError(told.contradiction)
        void = _void(trial, told)
    except LogsError as error:
        return trial, [Finding("unreadable", folder / FILE, str(error))]
    texts = [*table.notes, *_odd(columns), *filter(None, (told.note, void))]
    return replace(trial, columns=columns, void=void), [
        Finding("noted", folder / FILE, text) for text in texts
    ]


def _void(trial: Trial, told: Told) -> str:
    """result.json may be gone; the event log knows it, too."""
    status = next((s for s in (trial.status(), told.status) if s in VOID), "")
    return f"it ended with {status}: its times do not count" if status else ""


def _clocked(table: Table) -> dict[str, Floats]:
    """The columns, with a sound clock among them."""
    columns = dict(table.columns)
    clock = columns.get(CLOCK, columns.get(_SAME))
    if clock is None:
        raise LogsError(f"no column {CLOCK!r} or {_SAME!r}")
    _check(CLOCK, clock, np.isfinite(clock), "seconds")
    columns[CLOCK] = clock
    steps = columns.setdefault(STEPS, np.full(len(clock), np.nan))
    _check(STEPS, steps, ~np.isinf(steps), "steps")
    return columns


def _check(name: str, values: Floats, known: NDArray[np.bool_], unit: str) -> None:
    wrong = ~known | (values < 0) | (values > MOST_CLOCK)
    if wrong.any():
        row = int(wrong.argmax())
        expected = f"expected {unit} from 0 to {MOST_CLOCK:g}"
        raise LogsError(f"{name} is {values[row]} in row {row + 1}; {expected}")


def _odd(columns: dict[str, Floats]) -> list[str]:
    """What is sound enough to be scored, but should be known."""
    texts = []
    for name in (CLOCK, STEPS):
        if (np.diff(columns[name]) < 0).any():
            texts.append(f"{name} goes back")
    if np.isnan(columns[STEPS]).any():
        texts.append(f"{STEPS} is not there in every row")
    if not _agree(columns.get(_SAME, columns[CLOCK]), columns[CLOCK]):
        texts.append(f"{_SAME} and {CLOCK} differ; {CLOCK} is used")
    return texts


def _agree(one: Floats, other: Floats) -> bool:
    return np.array_equal(one, other) or np.allclose(one, other, rtol=1e-6, atol=0)
