"""The tables of a report before they are Markdown or LaTeX: ranks, times to target, speedups."""

from __future__ import annotations

from dataclasses import dataclass

from scoring.report.board import Board
from scoring.report.marks import MARKS, Mark, mark_of, sentence
from scoring.speedups import NOTE, Speedups


@dataclass(frozen=True)
class Cell:
    """A text in a table, whether it is the best of its column, why it does not count."""

    text: str
    best: bool = False
    mark: Mark | None = None


@dataclass(frozen=True)
class Table:
    """Rows below a header of the same length; `notes` stand below, those of `marks` first."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    notes: tuple[str, ...] = ()
    marks: tuple[Mark, ...] = ()


def report_tables(board: Board) -> list[Table]:
    """All tables of a report, the leaderboard first."""
    made = [leaderboard(board), times(board, shares=False)]
    if board.timed:
        made.append(times(board, shares=True))
    if board.speed:
        made.append(speeds(board, board.speed))
    return made


def leaderboard(board: Board) -> Table:
    """Rank, submission, score; equal scores share the better rank and the bold."""
    sure = board.low is not None and board.high is not None
    header = ["Submission", "Rank", "Score"]
    header += [f"{100 * board.level:g} % interval"] * sure + ["Workloads that count"]
    header += [f"Less time than {board.baseline}"] * (board.speed is not None)
    rows = []
    for s in board.by_rank():
        first = board.ranks[s] == 1
        row = [Cell(board.submissions[s], first), Cell(str(board.ranks[s]), first)]
        row.append(Cell(f"{board.scores[s]:.4f}", first))
        if board.low is not None and board.high is not None:
            row.append(Cell(f"{board.low[s]:.3f} to {board.high[s]:.3f}"))
        row.append(Cell(f"{board.reached(s)} of {board.ratios.shape[1]}"))
        if board.speed:
            row.append(_less(board.speed, s))
        rows.append(tuple(row))
    marks = _unlogged(board.speed)
    notes = (*(f"{mark.symbol} {mark.text}" for mark in marks), board.comparable)
    return Table(f"Leaderboard: {board.title}", tuple(header), tuple(rows), notes, marks)


def speeds(board: Board, found: Speedups) -> Table:
    """Time saved against the baseline, its inverse, and the time on each workload as a multiple."""
    names = [workload.name for workload in board.workloads[: board.ratios.shape[1]]]
    rows = [
        (
            Cell(board.submissions[s]),
            _less(found, s),
            Cell(_number(float(found.speedup[s]), 2)),
            *(Cell(_number(ratio, 2)) for ratio in found.ratios[s].tolist()),
        )
        for s in board.by_rank()
    ]
    marks = _unlogged(found)
    notes = (
        *(f"{mark.symbol} {mark.text}" for mark in marks),
        f"{NOTE} A workload's number: time / {board.baseline}'s time.",
    )
    header = ("Submission", "Less time", "Times as fast", *names)
    title = f"Speed against {board.baseline}: {board.title}"
    return Table(title, header, tuple(rows), notes, marks)


def _unlogged(found: Speedups | None) -> tuple[Mark, ...]:
    return (MARKS["missing"],) if found and found.missing.any() else ()


def _less(found: Speedups, s: int) -> Cell:
    """Time saved; with a mark where a workload without logs stands in for a miss."""
    text = _percent(float(found.faster_by[s]))
    return Cell(text + MARKS["missing"].symbol * bool(found.missing[s]))


def times(board: Board, shares: bool) -> Table:
    """Time to target of every submission on every workload; `shares`: in per cent of the budget."""
    unit = "per cent of the budget" if shares else "seconds" if board.timed else "steps"
    rows = []
    for s in board.by_rank():
        cells = [_time(board, s, w, shares) for w in range(len(board.workloads))]
        rows.append((Cell(board.submissions[s]), *cells))
    header = ("Submission", *(workload.name for workload in board.workloads))
    used = {r.partition(":")[0] for row in board.reasons for r in row if r}
    kept = [(mark, sentence(r, board.factor)) for r, mark in MARKS.items() if r in used]
    notes = [f"{mark.symbol} {text}" for mark, text in kept]
    notes.append("Median over studies. Bold: the fastest that counts. A mark: does not count.")
    marks = tuple(mark for mark, _ in kept)
    return Table(
        f"Time to target ({unit}): {board.title}", header, tuple(rows), tuple(notes), marks
    )


def _time(board: Board, s: int, w: int, shares: bool) -> Cell:
    value, reason = float(board.times[s, w]), board.reasons[s][w]
    shown = _number(100 * board.share(s, w) if shares else value, digits=1 if shares else 0)
    return Cell(shown, board.is_best(s, w), mark_of(reason) if reason else None)


def _number(value: float, digits: int) -> str:
    if value != value:
        return "–"
    return f"{value:.{digits}f}" if abs(value) != float("inf") else "∞"


def _percent(part: float) -> str:
    return "–" if part != part else f"{100 * part:.1f} %".replace("-", "−")
