"""Which tables come with a score?  What is printed, and the csv files of --out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scoring.certainty.group import Group
from scoring.certainty.table import Cell, Table
from scoring.logs.trial import Finding, Logs
from scoring.profile import GRID, profile
from scoring.report.board import Board
from scoring.report.marks import mark_of
from scoring.speedups import NOTE, Speedups
from scoring.summaries import study_table, trial_table, workload_step_times

Floats = NDArray[np.float64]


def leaderboard(board: Board, reference: Floats, note: str = "") -> Table:
    """Rank, score, and the score that the reference's own rules would give.

    Args:
        reference: scores [S] with the best trial by row and 100 values of tau.
    """
    rows: list[list[Cell]] = [
        [
            int(board.ranks[s]),
            board.submissions[s],
            float(board.scores[s]),
            f"{board.reached(s)} of {board.ratios.shape[1]}",
            float(reference[s]),
            float(board.scores[s] - reference[s]),
        ]
        for s in board.by_rank()
    ]
    columns = ("rank", "submission", "score", "workloads", "as the reference", "difference")
    notes = (board.comparable, *([note] if note else []))
    return Table("leaderboard", f"Leaderboard: {board.title}", columns, rows, notes)


def as_reference(group: Group) -> Floats:
    """Scores [S] as AlgoPerf's scoring code computes them."""
    return replace(group, best_trial="reference", integral="grid100").scores


def shown_times(board: Board) -> Table:
    """Times to target for a terminal: workloads below, submissions beside each other."""
    order = board.by_rank()
    rows: list[list[Cell]] = [
        [workload.name, *(_shown(board, s, w) for s in order)]
        for w, workload in enumerate(board.workloads)
    ]
    names = [board.submissions[s] for s in order]
    heads = [name if len(name) < 12 else f"{name[:10]}.." for name in names]
    used = {reason.partition(":")[0] for row in board.reasons for reason in row if reason}
    notes = [
        f"{mark_of(reason).symbol} {mark_of(reason).text}".format(factor=f"{board.factor:g}")
        for reason in sorted(used)
    ]
    unit = "seconds" if board.timed else "steps"
    title = f"Time to target ({unit}, median over studies)"
    return Table("times", title, ("workload", *names), rows, notes, heads=("workload", *heads))


def _shown(board: Board, s: int, w: int) -> str:
    reason = board.reasons[s][w]
    mark = mark_of(reason).symbol if reason else ""
    time = float(board.times[s, w])
    digits = 0 if time >= 100 else 2
    return f"{time:.{digits}f}{mark}" if np.isfinite(time) else mark


def csv_tables(
    logs: Logs, group: Group, board: Board, first: Table, findings: Sequence[Finding]
) -> Iterator[Table]:
    """All tables of --out; `first` is the leaderboard."""
    best = group.trials.best(group.best_trial)
    yield first
    yield _times(board)
    yield _cells(board)
    yield _profiles(board)
    if board.speed:
        yield speeds(board, board.speed)
    yield study_table(logs, group, best)
    yield trial_table(logs, group.rules)
    yield workload_step_times(logs)
    yield findings_table(findings)


def speeds(board: Board, found: Speedups) -> Table:
    """Speed against the board's baseline: time saved, its inverse, and every workload's ratio."""
    rows: list[list[Cell]] = [
        [
            board.submissions[s],
            float(found.faster_by[s]),
            float(found.speedup[s]),
            float(1 - found.mean_both[s]),
            int(found.both[s]),
            int(found.missing[s]),
            *map(float, found.ratios[s]),
        ]
        for s in board.by_rank()
    ]
    means = ("faster_by", "speedup", "faster_by_where_both_reached", "both_reached")
    columns = ("submission", *means, "workloads_without_logs")
    heads = ("submission", "less time", "times as fast", "less, if both", "both", "no logs")
    names = tuple(workload.name for workload in board.workloads[: board.ratios.shape[1]])
    notes = (
        NOTE,
        "if both: over the workloads whose target both reached.  A workload's: time / baseline's.",
    )
    title = f"Speed against {board.baseline}"
    return Table("speedups", title, (*columns, *names), rows, notes, heads=(*heads, *names))


def findings_table(findings: Sequence[Finding]) -> Table:
    """What was missing, unreadable, odd or not as the rules have it."""
    rows: list[list[Cell]] = [[f.kind, str(f.path), f.text] for f in findings]
    return Table("findings", "Findings", ("kind", "path", "text"), rows)


def _times(board: Board) -> Table:
    rows: list[list[Cell]] = [
        [name, *map(float, row)] for name, row in zip(board.submissions, board.times, strict=True)
    ]
    columns = ("submission", *(workload.name for workload in board.workloads))
    return Table("time_to_targets", "Times before the rules on held-out workloads", columns, rows)


def _cells(board: Board) -> Table:
    scored = board.ratios.shape[1]
    rows: list[list[Cell]] = [
        [
            name,
            workload.name,
            float(board.times[s, w]),
            float(board.ratios[s, w]) if w < scored else None,
            board.reasons[s][w] or "counts",
        ]
        for s, name in enumerate(board.submissions)
        for w, workload in enumerate(board.workloads)
    ]
    columns = ("submission", "workload", "time_to_target", "ratio", "status")
    return Table("cells", "Times, ratios, and why a time does not count", columns, rows)


def _profiles(board: Board) -> Table:
    taus = np.linspace(1.0, board.tau_max, GRID)
    shares = profile(board.ratios, taus)
    rows: list[list[Cell]] = [
        [name, *map(float, row)] for name, row in zip(board.submissions, shares, strict=True)
    ]
    columns = ("submission", *(repr(float(tau)) for tau in taus))
    return Table("performance_profiles", "Performance profiles by tau", columns, rows)


def write_all(tables: Iterable[Table], folder: Path) -> list[Path]:
    """Write each table as csv."""
    return [table.write(folder) for table in tables]
