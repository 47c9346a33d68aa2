"""python -m algoperf_pt.rerun FOLDER [--into DIR] [KEY=VALUE]: does the trial come out the same?"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from algoperf_pt.command import exit_code_of
from algoperf_pt.rerun.repeat import rerun


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code: 0, 1 not the same although it should be, 2 refused or bad input."""
    parser = argparse.ArgumentParser(prog="python -m algoperf_pt.rerun", description=__doc__)
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="of a trial")
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="such as data.dir=DIR")
    parser.add_argument(
        "--into", type=Path, default=Path("reruns"), metavar="DIR", help="experiment_dir (reruns)"
    )
    parser.add_argument(
        "--anyway", action="store_true", help="although code, data or versions differ"
    )
    options = parser.parse_intermixed_args(arguments)
    choices = (options.folder, options.into, options.overrides, options.anyway)
    return exit_code_of(lambda: rerun(*choices))


if __name__ == "__main__":
    sys.exit(main())
