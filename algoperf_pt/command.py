"""What do the commands beside algoperf-train have in common?  How they begin, what becomes of bad
input, and words that several of them take.  No torch here.
"""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from algoperf_pt.errors import AlgoperfError, ConfigError
from algoperf_pt.instantiate import find_own_modules
from algoperf_pt.pipe import outlive_readers
from algoperf_pt.status import EXIT_CODES, Status


def exit_code_of(work: Callable[[], int]) -> int:
    """What `work` returns; for bad input, which it raises as an AlgoperfError, one message and the
    exit code 2.  Modules in the current folder are found, and a pipe's reader may leave.
    """
    outlive_readers()
    find_own_modules()
    try:
        return work()
    except AlgoperfError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return EXIT_CODES[Status.CONFIG_ERROR]


def check_overrides(words: Sequence[str], fix: str = "") -> None:
    """Refuse a word that is no override.

    Raises:
        ConfigError: naming the first one.
    """
    wrong = next((word for word in words if "=" not in word), None)
    if wrong is not None:
        raise ConfigError(f"{wrong!r} is no KEY=VALUE", where="command line", fix=fix)


def check_json(path: Path | None) -> None:
    """Refuse a place for --json that has no folder: before anything is run, not after.

    Raises:
        ConfigError: naming the folder.
    """
    if path and not path.absolute().parent.is_dir():
        folder = path.absolute().parent
        raise ConfigError(f"--json: there is no folder {folder}", where="--json")
