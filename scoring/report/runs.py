"""A trial as pictures and page show it, and the median curves of many."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from scoring.pictures.medians import Curve, Points, median_curve, one_per_study
from scoring.report.board import Board, Workload


@dataclass(frozen=True)
class Run:
    """One trial on a workload of the board: its evaluations, and what its folder says of it."""

    submission: str
    workload: str
    number: int
    points: Points
    framework: str = ""
    status: str = ""
    hparams: Mapping[str, object] = field(default_factory=dict)


def curves_of(board: Board, runs: Sequence[Run], workload: Workload) -> dict[str, Curve]:
    """submission -> its median curve on a workload, where it has one."""
    here: dict[str, list[Points]] = {}
    for run in runs:
        if run.workload == workload.name:
            here.setdefault(run.submission, []).append(run.points)
    found = {}
    for name in board.submissions:
        chosen = one_per_study(here.get(name, []), workload.target, workload.goal)
        curve = median_curve(chosen)
        if curve is not None:
            found[name] = curve
    return found
