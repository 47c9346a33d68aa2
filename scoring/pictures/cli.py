"""The part of the command line that draws: `--pictures`."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path

from scoring.asked import FOLDER, Asked
from scoring.pictures.draw import FORMATS, KINDS, TRIALS, draw
from scoring.report.runs import runs_of


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


def run(asked: Asked) -> list[Path]:
    """Draws what was asked for and returns the files; nothing without --pictures."""
    options = asked.options
    if options.pictures is None:
        return []
    kinds = options.pictures or KINDS
    runs = runs_of(asked.logs, asked.board)[0] if TRIALS & set(kinds) else []
    folder = Path(options.out or FOLDER) / "pictures"
    return draw(asked.board, runs, folder, kinds, options.picture_formats)
