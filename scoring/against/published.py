"""Which times are published?  One csv a leaderboard: a row for each trial with the row, seconds and
steps of its first evaluation at the target; empty where it was not reached.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import numpy as np

from scoring.errors import RulesError
from scoring.rules.load import FILES
from scoring.times import TrialTimes

COLUMNS = ("submission", "workload", "study", "trial", "row", "seconds", "steps")
Row = tuple[str, str, str, int, int, float, float]


@dataclass(frozen=True)
class Published:
    """A published leaderboard.

    Attributes:
        source: where the logs are; hardware: class of machine they were run on.
    """

    source: str
    hardware: str
    seconds: TrialTimes
    steps: TrialTimes


def published(version: str, ruleset: str, workloads: tuple[str, ...]) -> Published:
    """The times of a version and ruleset.

    Raises:
        RulesError: none are published.
    """
    version = version.removeprefix("v")
    there = sorted(p.name for p in files("scoring.against").iterdir() if p.name.endswith(".csv"))
    name = f"{FILES.get(version, 'none')}_{ruleset}.csv"
    if name not in there:
        known = ", ".join(there).replace(".csv", "")
        raise RulesError(f"--against {version} ({ruleset}): no published times; there are {known}")
    text = (files("scoring.against") / name).read_text(encoding="utf-8")
    lines = text.splitlines()
    notes = dict(line[2:].split(": ", 1) for line in lines if line.startswith("# "))
    rows = [_row(line) for line in csv.DictReader(x for x in lines if not x.startswith("#"))]
    seconds, steps = (_table(rows, workloads, place) for place in (5, 6))
    return Published(notes["source"], notes["hardware"], seconds, steps)


def write(
    path: Path, seconds: TrialTimes, steps: TrialTimes, source: str, hardware: str
) -> None:
    """The csv of a leaderboard."""
    with path.open("w", newline="", encoding="utf-8") as file:
        file.write(f"# source: {source}\n# hardware: {hardware}\n")
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for place in np.argwhere(seconds.numbers > 0).tolist():
            s, w, k, t = place
            path_of = (seconds.submissions[s], seconds.workloads[w], seconds.studies[k])
            hit = int(seconds.rows[s, w, k, t])
            time, step = float(seconds.seconds[s, w, k, t]), float(steps.seconds[s, w, k, t])
            told = (hit, repr(time), int(step)) if hit >= 0 else ("", "", "")
            writer.writerow((*path_of, int(seconds.numbers[s, w, k, t]), *told))


def _row(told: dict[str, str]) -> Row:
    path = (told["submission"], told["workload"], told["study"], int(told["trial"]))
    if not told["row"]:
        return (*path, -1, np.inf, np.inf)
    return (*path, int(told["row"]), float(told["seconds"]), float(told["steps"]))


def _table(rows: Sequence[Row], workloads: tuple[str, ...], clock: int) -> TrialTimes:
    submissions = tuple(dict.fromkeys(row[0] for row in rows))
    studies = tuple(sorted({row[2] for row in rows}))
    most = max(row[3] for row in rows)
    shape = (len(submissions), len(workloads), len(studies), most)
    times = np.full(shape, np.nan)
    hits, numbers = np.full(shape, -1, dtype=np.int64), np.zeros(shape, dtype=np.int64)
    for row in rows:
        if row[1] in workloads:
            path = submissions.index(row[0]), workloads.index(row[1]), studies.index(row[2])
            place = (*path, row[3] - 1)
            times[place], hits[place], numbers[place] = row[clock], row[4], row[3]
    return TrialTimes(submissions, workloads, studies, times, hits, numbers)


def together(own: TrialTimes, others: TrialTimes, mark: str) -> TrialTimes:
    """Both groups as one; the names of the others get `mark` behind them.

    Studies are only counted: a study of one has nothing to do with one of another.
    """
    studies = own.studies if len(own.studies) >= len(others.studies) else others.studies
    size = (len(studies), max(own.seconds.shape[-1], others.seconds.shape[-1]))
    parts = [_padded(times, size) for times in (own, others)]
    names = (*own.submissions, *(f"{name} {mark}" for name in others.submissions))
    return TrialTimes(
        names,
        own.workloads,
        studies,
        np.concatenate([part.seconds for part in parts]),
        np.concatenate([part.rows for part in parts]),
        np.concatenate([part.numbers for part in parts]),
    )


def _padded(times: TrialTimes, size: tuple[int, int]) -> TrialTimes:
    k, t = (most - there for most, there in zip(size, times.seconds.shape[2:], strict=True))
    room = ((0, 0), (0, 0), (0, k), (0, t))
    return TrialTimes(
        times.submissions,
        times.workloads,
        times.studies,
        np.pad(times.seconds, room, constant_values=np.nan),
        np.pad(times.rows, room, constant_values=-1),
        np.pad(times.numbers, room),
    )
