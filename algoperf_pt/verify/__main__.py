"""python -m algoperf_pt.verify FOLDER...: do the files of these trials agree with one another?"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from algoperf_pt.errors import AlgoperfError, ConfigError
from algoperf_pt.pipe import outlive_readers
from algoperf_pt.status import EXIT_CODES, Status
from algoperf_pt.verify.trial import trial_folders, verify
from algoperf_pt.watch.clean import clean


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code: 0 all sound, 1 something does not agree, 2 bad input."""
    parser = argparse.ArgumentParser(prog="python -m algoperf_pt.verify", description=__doc__)
    parser.add_argument(
        "folders", nargs="+", type=Path, metavar="FOLDER", help="of a trial, or of many"
    )
    options = parser.parse_args(arguments)
    outlive_readers()
    try:
        return _verify_all(options.folders)
    except AlgoperfError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return EXIT_CODES[Status.CONFIG_ERROR]


def _verify_all(roots: Sequence[Path]) -> int:
    sound, broken = 0, 0
    for root in roots:
        found = list(trial_folders(root))
        if not found:
            raise ConfigError(
                f"{root} holds no trial that has begun",
                expected="a trial's folder, or a folder with some below it",
                where="command line",
            )
        for folder in found:
            verdict = verify(folder)
            sound, broken = sound + verdict.sound, broken + (not verdict.sound)
            word = "ok    " if verdict.sound else "BROKEN"
            print(f"{word} {clean(str(folder), 400)}: {clean(verdict.text, 400)}")
    print(f"{sound} sound, {broken} broken")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
