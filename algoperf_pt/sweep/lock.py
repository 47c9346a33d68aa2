"""Two parents on one submission's folders would start its trials twice: the second is refused."""

import fcntl
import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from algoperf_pt.errors import ConfigError
from algoperf_pt.sweep.plan import Planned

LOCK = ".sweep.lock"


@contextmanager
def locked(trials: Sequence[Planned]) -> Iterator[None]:
    """Hold the lock of each submission's folder while its trials are run.

    Raises:
        ConfigError: another process has one of them; names it.
    """
    with ExitStack() as stack:
        for folder in sorted({planned.folder.parents[2] for planned in trials}):
            stack.enter_context(_lock(folder))
        yield


@contextmanager
def _lock(folder: Path) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK).open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise ConfigError(
                f"another `-m` is running trials in {folder}: {file.read().strip() or 'unknown'}",
                expected="one at a time for each experiment_dir and submission",
                where=f"{folder / LOCK}",
                fix="wait for it or stop it, or choose another experiment_dir",
            ) from None
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}\n")
        file.flush()
        yield
