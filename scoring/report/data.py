"""What does the page carry?  The board and every trial's curve, as values that JSON can hold."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from scoring.pictures.style import looks
from scoring.report.board import Board
from scoring.report.marks import MARKS, mark_of, sentence
from scoring.report.runs import Run
from scoring.report.trials_data import curves, trials
from scoring.rules.model import Workload

CSS_DASHES = ("", "6 3", "1.5 2", "7 2.5 1.5 2.5")  # the patterns of the pictures, in pixels


def page_data(
    board: Board, runs: Sequence[Run], findings: Sequence[tuple[str, str, str]], foot: str
) -> dict[str, Any]:
    """The object that the page's scripts read as D.  Submissions stand by rank.

    Args:
        findings: kind, place and text of what is noteworthy about the logs.
        foot: the page's last line.
    """
    order = board.by_rank()
    look = look_table(board.submissions)
    return {
        "title": board.title,
        "note": board.comparable,
        "foot": foot,
        "rules": [list(pair) for pair in board.facts],
        "tau": board.tau_max,
        "clock": "seconds" if board.timed else "steps",
        "level": f"{100 * board.level:g} % interval",
        "n_base": board.ratios.shape[1],
        "baseline": board.baseline,
        "submissions": [_submission(board, s) for s in order],
        "looks": [look[s] for s in order],
        "palette": look_table([str(i) for i in range(9)]),
        "workloads": [_workload(w) for w in board.workloads],
        "cells": [[_cell(board, s, w) for w in range(len(board.workloads))] for s in order],
        "marks": _marks(board),
        "curves": curves(board, order, runs),
        **trials(board, order, runs),
        "findings": [list(finding) for finding in findings],
    }


def embedded(data: Mapping[str, Any]) -> str:
    """JSON that may stand inside a script element: no name can close it or open a comment.

    Raises:
        ValueError: a number is infinite or not a number, which JSON cannot hold.
    """
    text = json.dumps(data, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def look_table(names: Sequence[str]) -> list[dict[str, Any]]:
    """Colour, dashes and marker's number of each name, as in the pictures."""
    return [
        {"colour": look.colour, "dashes": CSS_DASHES[i % len(CSS_DASHES)] or None, "marker": i % 9}
        for i, look in enumerate(looks(names).values())
    ]


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _submission(board: Board, s: int) -> dict[str, Any]:
    sure = board.low is not None and board.high is not None
    return {
        "name": board.submissions[s],
        "score": float(board.scores[s]),
        "rank": int(board.ranks[s]),
        "low": _finite(board.low[s]) if sure and board.low is not None else None,
        "high": _finite(board.high[s]) if sure and board.high is not None else None,
        "reached": board.reached(s),
        "faster": _finite(board.speed.faster_by[s]) if board.speed else None,
        "unlogged": int(board.speed.missing[s]) if board.speed else 0,
    }


def _workload(workload: Workload) -> dict[str, Any]:
    return {
        "name": workload.name,
        "metric": workload.column,
        "goal": workload.goal,
        "target": workload.target,
        "budget": workload.budget,
        "base": workload.base,
        "held_out": workload.held_out,
    }


def _cell(board: Board, s: int, w: int) -> dict[str, Any]:
    reason = board.reasons[s][w]
    base = w < board.ratios.shape[1]
    studies = zip(board.studies, board.study_times[s, w], board.study_trials[s, w], strict=True)
    return {
        "t": _finite(board.times[s, w]),
        "r": _finite(board.ratios[s, w]) if base else None,
        "v": _finite(board.speed.ratios[s, w]) if base and board.speed else None,
        "why": sentence(reason, board.factor) if reason else "",
        "mark": mark_of(reason).symbol if reason else "",
        "best": board.is_best(s, w),
        "studies": [[k, _finite(t), int(n)] for k, t, n in studies if not np.isnan(t)],
    }


def _marks(board: Board) -> list[dict[str, str]]:
    used = {r.partition(":")[0] for row in board.reasons for r in row if r}
    kept = [
        (mark, sentence(reason, board.factor)) for reason, mark in MARKS.items() if reason in used
    ]
    return [{"mark": mark.symbol, "text": text} for mark, text in kept]
