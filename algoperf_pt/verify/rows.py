"""Are the rows of both CSV files those that the event log tells?"""

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from algoperf_pt.records import ALL_ROWS, EVAL_ROWS
from algoperf_pt.verify.log import Broken, content

_OF_EVALUATIONS = "accumulated_submission_time"  # a column that only evaluations fill
_TOLERANCE = 1e-6  # s; sums of the same numbers in another order

Row = dict[str, str]
Rows = list[tuple[int, Row]]  # with the numbers of their lines


def check_rows(folder: Path, evaluations: Sequence[dict[str, Any]], ended: bool) -> Rows:
    """Compare both files with the evaluations of the log, cell by cell.

    Args:
        folder: of the trial.
        evaluations: events, in order.
        ended: False for a trial that was killed or still runs: a row is written before its event.

    Returns:
        The rows of measurements.csv.

    Raises:
        Broken: naming the first row that differs.
    """
    told = [{key: str(value) for key, value in content(event).items()} for event in evaluations]
    rows = _read(folder / EVAL_ROWS) if told or (folder / EVAL_ROWS).exists() else []
    _compare(EVAL_ROWS, rows, told, ended)
    every = _read(folder / ALL_ROWS) if told or (folder / ALL_ROWS).exists() else []
    _compare(ALL_ROWS, [(n, r) for n, r in every if r.get(_OF_EVALUATIONS)], told, ended)
    _check_steps(every)
    _check_times(rows)
    return every


def check_last_row(every: Rows, result: dict[str, Any]) -> None:
    """measurements.csv ends with the trial's time and steps.

    Raises:
        Broken: it does not.
    """
    if not every:
        raise Broken(f"{ALL_ROWS}: missing, or without rows")
    number, last = every[-1]
    for column, key in (("score", "elapsed"), ("global_step", "step")):
        if last.get(column) != str(result[key]):
            raise Broken(
                f"{ALL_ROWS}:{number}: the last row says {column} {last.get(column)}, result.json "
                f"says {key} {result[key]}"
            )


def _read(path: Path) -> Rows:
    """(line, row); a row with more or fewer cells than columns is broken."""
    if not path.is_file():
        raise Broken(f"{path.name}: missing")
    reader = csv.reader(io.StringIO(path.read_text(encoding="utf-8", errors="replace")))
    columns = next(reader, [])
    rows = []
    for cells in reader:
        if len(cells) != len(columns):
            where = f"{path.name}:{reader.line_num}"
            raise Broken(f"{where}: {len(cells)} cells, {len(columns)} columns")
        rows.append((reader.line_num, dict(zip(columns, cells))))
    return rows


def _compare(name: str, rows: Rows, told: list[Row], ended: bool) -> None:
    for (number, row), event in zip(rows, told):
        filled = {key: cell for key, cell in row.items() if cell != ""}
        for key in sorted(filled.keys() | event.keys()):
            if filled.get(key) != event.get(key):
                raise Broken(
                    f"{name}:{number}: {key} is {filled.get(key, 'empty')}, the event log says "
                    f"{event.get(key, 'nothing')}"
                )
    if len(rows) < len(told):
        raise Broken(f"{name}: {len(rows)} evaluations, the event log has {len(told)}")
    if len(rows) > len(told) + (not ended):
        raise Broken(f"{name}:{rows[len(told)][0]}: an evaluation that the event log does not have")


def _check_steps(rows: Rows) -> None:
    """Steps go on; the training row of a step (counted before its update) precedes evaluations."""
    before = -1.0
    for number, row in rows:
        step = float(row["global_step"])
        if step < before:
            raise Broken(f"{ALL_ROWS}:{number}: step {step:.0f} after step {before:.0f}")
        before = step


def _check_times(rows: Rows) -> None:
    """Time goes on, and its parts are no more than the whole."""
    before: Row | None = None
    for number, row in rows:
        parts = sum(float(row[f"accumulated_{p}_time"]) for p in ("submission", "eval", "logging"))
        whole = float(row["total_duration"])
        if parts > whole + _TOLERANCE:
            where = f"{EVAL_ROWS}:{number}"
            raise Broken(f"{where}: parts of {parts:.3f} s in a whole of {whole:.3f} s")
        for key in ("total_duration", "score") if before else ():
            if before and float(row[key]) < float(before[key]) - _TOLERANCE:
                raise Broken(f"{EVAL_ROWS}:{number}: {key} goes back")
        before = row
