"""The part of the command line that writes reports: `--html` and `--tables`."""

from __future__ import annotations

import os
from argparse import ArgumentParser
from collections.abc import Callable
from pathlib import Path

from scoring.asked import FOLDER, Asked
from scoring.logs.trial import Finding, Logs
from scoring.report.board import Board
from scoring.report.data import page_data
from scoring.report.latex import latex
from scoring.report.markdown import markdown
from scoring.report.page import write_page
from scoring.report.runs import runs_of
from scoring.report.tables import Table, report_tables

TABLES: dict[str, tuple[str, Callable[[Table], str]]] = {
    "markdown": ("tables.md", markdown),
    "latex": ("tables.tex", latex),
}


def add_flags(parser: ArgumentParser) -> None:
    """Adds --html and --tables."""
    group = parser.add_argument_group("reports")
    group.add_argument(
        "--html", action="store_true", help="write DIR/index.html, one page that needs no server"
    )
    group.add_argument(
        "--tables",
        nargs="+",
        choices=tuple(TABLES),
        default=[],
        metavar="KIND",
        help="write DIR/tables.md (markdown), DIR/tables.tex (latex), or both",
    )


def run(asked: Asked) -> list[Path]:
    """Writes what was asked for and returns the files; nothing without --html or --tables."""
    options = asked.options
    if not (options.html or options.tables):
        return []
    folder = Path(options.out or FOLDER)
    written = [_write_tables(asked.board, folder, kind) for kind in options.tables]
    if options.html:
        written.append(folder / "index.html")
        write_html(asked.logs, asked.board, written[-1])
    return written


def write_html(logs: Logs, board: Board, path: Path) -> None:
    """The page of a board, with the trials of the logs."""
    runs, unreadable = runs_of(logs, board)
    found = _findings(logs, [*logs.findings, *unreadable])
    count = f"{len(runs)} trials, {sum(run.points.x.size for run in runs):,} evaluations."
    write_page(path, page_data(board, runs, found, count))


def _write_tables(board: Board, folder: Path, kind: str) -> Path:
    name, written = TABLES[kind]
    folder.mkdir(parents=True, exist_ok=True)
    text = "\n".join(written(table) for table in report_tables(board))
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


def _findings(logs: Logs, findings: list[Finding]) -> list[tuple[str, str, str]]:
    """Findings with paths from where all logs lie: a page that is sent on names no home folder.

    The others, such as that of a submission without a workload, name no path but its first parts.
    """
    paths = [*(finding.path for finding in findings), *(trial.folder for trial in logs.trials)]
    places = [path for path in paths if path.is_absolute()]
    root = os.path.commonpath(places) if places else "."
    return [(f.kind, _from(root, f.path), f.text.replace(f"{root}/", "")) for f in findings]


def _from(root: str, path: Path) -> str:
    return os.path.relpath(path, root) if path.is_absolute() else str(path)
