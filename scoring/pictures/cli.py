"""The part of the command line that draws: `--pictures`."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from scoring.logs.trial import Logs
from scoring.pictures.draw import FORMATS, KINDS, TRIALS, draw
from scoring.report.from_options import FOLDER, board_for
from scoring.report.runs import runs_of
from scoring.rules.model import Rules


def add_flags(parser: ArgumentParser) -> None:
    """Adds --pictures and --picture-formats."""
    group = parser.add_argument_group("pictures")
    group.add_argument(
        "--pictures",
        nargs="*",
        choices=KINDS,
        metavar="KIND",
        help=f"draw {', '.join(KINDS)}, or some of them, into DIR/pictures",
    )
    group.add_argument(
        "--picture-formats", nargs="+", choices=FORMATS, default=list(FORMATS), metavar="FORMAT"
    )


def run(logs: Logs, rules: Rules, scores: object, options: Namespace) -> list[Path]:
    """Draws what was asked for and returns the files; nothing without --pictures.

    Args:
        scores: not needed: a board holds what is drawn.
    """
    if options.pictures is None:
        return []
    kinds = options.pictures or KINDS
    board = board_for(logs, rules, options)
    runs = runs_of(logs, board)[0] if TRIALS & set(kinds) else []
    folder = Path(options.out or FOLDER) / "pictures"
    return draw(board, runs, folder, kinds, options.picture_formats)
