"""Which pictures are there, and what is drawn for each kind?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from scoring.pictures.curves import curves_picture
from scoring.pictures.heat_map import heat_map
from scoring.pictures.hparams import Tried, hparams_picture
from scoring.pictures.profile import profile_picture
from scoring.pictures.style import save
from scoring.pictures.tau import tau_picture
from scoring.report.board import Board
from scoring.report.runs import Run, curves_of
from scoring.rules.model import Workload

if TYPE_CHECKING:
    from matplotlib.figure import Figure

KINDS = ("profile", "heat_map", "tau", "curves", "hparams")
FORMATS = ("png", "svg")
TRIALS = frozenset({"curves", "hparams"})  # kinds that look at trials


def draw(
    board: Board, runs: Sequence[Run], folder: Path, kinds: Sequence[str], formats: Sequence[str]
) -> list[Path]:
    """Writes the pictures of some kinds: one a kind, but `curves` one a workload and `hparams` one
    a submission.  Those without anything to show are left out.

    Args:
        runs: needed for the kinds in `TRIALS` alone.
    """
    written: list[Path] = []
    for kind in kinds:
        for name, picture in _pictures(kind, board, runs):
            written += save(picture, folder, name, formats)
    return written


def _pictures(kind: str, board: Board, runs: Sequence[Run]) -> Iterator[tuple[str, Figure]]:
    if kind == "profile":
        yield kind, profile_picture(board)
    elif kind == "heat_map":
        yield kind, heat_map(board)
    elif kind == "tau":
        yield kind, tau_picture(board)
    elif kind == "curves":
        yield from _curves(board, runs)
    elif kind == "hparams":
        yield from _hparams(board, runs)
    else:
        raise ValueError(f"no picture {kind!r}; there are {', '.join(KINDS)}")


def _curves(board: Board, runs: Sequence[Run]) -> Iterator[tuple[str, Figure]]:
    for workload in board.workloads:
        curves = curves_of(board, runs, workload)
        if curves:
            yield f"curves_{workload.name}", curves_picture(board, workload, curves)


def _hparams(board: Board, runs: Sequence[Run]) -> Iterator[tuple[str, Figure]]:
    scored = [workload for workload in board.workloads if not workload.base]
    times = {
        w.name: [(run, _time(run, w)) for run in runs if run.workload == w.name] for w in scored
    }
    most = {w.name: w.budget if board.timed else _most(times[w.name]) for w in scored}
    label = "share of the budget" if board.timed else "share of the most steps"
    for name in board.submissions:
        tried = [
            Tried(workload, run.hparams, time / most[workload])
            for workload, pairs in times.items()
            for run, time in pairs
            if run.submission == name
        ]
        mark = f" ({board.hardware_mark})" if board.hardware_mark else ""
        title = f"{name}: time to target of every trial{mark}"
        picture = hparams_picture(title, tried, tuple(times), label)
        if picture is not None:
            yield f"hparams_{name}", picture


def _time(run: Run, workload: Workload) -> float:
    return run.points.first_hit(workload.target, workload.goal)


def _most(times: Sequence[tuple[Run, float]]) -> float:
    return max((time for _, time in times if np.isfinite(time)), default=1.0)
