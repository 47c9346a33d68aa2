"""python -m algoperf_pt.card FOLDER...: write card.html into the folders of these trials."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from algoperf_pt.card.page import write_card
from algoperf_pt.driver import CONFIG
from algoperf_pt.errors import AlgoperfError, ConfigError
from algoperf_pt.result import RESULT
from algoperf_pt.status import EXIT_CODES, Status


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code: 0, or 2 for bad input."""
    parser = argparse.ArgumentParser(prog="python -m algoperf_pt.card", description=__doc__)
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER", help="of a trial")
    try:
        for folder in parser.parse_args(arguments).folders:
            print(_write(folder))
    except AlgoperfError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return EXIT_CODES[Status.CONFIG_ERROR]
    return 0


def _write(folder: Path) -> Path:
    if not any((folder / name).is_file() for name in (CONFIG, RESULT)):
        raise ConfigError(
            f"{folder} is no trial's folder",
            expected=f"a folder with {CONFIG}",
            where="command line",
        )
    try:
        return write_card(folder)
    except OSError as error:
        raise ConfigError(
            f"{folder}: the card cannot be written: {error.strerror}",
            expected="a folder that can be written",
        ) from error


if __name__ == "__main__":
    sys.exit(main())
