"""What does the interpreter see a submission do?  Files that it opens, variables that it sets,
processes that it starts, by Python's audit events, with the line that did it.
"""

import os
import sys
import sysconfig
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from algoperf_pt.check import frames
from algoperf_pt.check.frames import CHECK, LIBRARY, OWN, STANDARD, nearest

_CODE = (".py", ".pyc", ".pyi", ".so", ".pth", ".egg-info", ".dist-info", ".pyd")
_SYSTEM = ("/proc/", "/sys/", "/dev/", "/etc/", "/usr/lib", "/lib")
_PREFIXES = tuple(
    {str(Path(sysconfig.get_path(n)).resolve()) for n in ("purelib", "platlib", "stdlib")}
)
_STARTS = {"subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork", "os.forkpty"}
_NETWORK = {"socket.connect", "socket.sendto", "urllib.Request"}


@dataclass
class Seen:
    """What was seen, each with the submission's line.

    `read`, `written`: (path, line) of files; `held`: those of data that it must not have, opened by
    itself or by what it calls of the harness; `started`, `network`: (event, line).
    """

    read: list[tuple[str, str]] = field(default_factory=list)
    written: list[tuple[str, str]] = field(default_factory=list)
    held: list[tuple[str, str]] = field(default_factory=list)
    started: list[tuple[str, str]] = field(default_factory=list)
    network: list[tuple[str, str]] = field(default_factory=list)


class Listener:
    """Hears audit events from now to the end of the process: Python knows no way to stop it.

    `by_libraries`: names of environment variables that an installed package has set.
    """

    def __init__(self) -> None:
        self.seen, self.by_libraries = Seen(), set[str]()
        self._holds: Callable[[str], bool] = lambda path: False
        self._busy = False
        sys.addaudithook(self._hear)

    def hold(self, paths: Iterable[Path]) -> None:
        """From now on, opening one of these files counts for `seen.held`."""
        held = {str(path.resolve()) for path in paths}
        self._holds = lambda path: os.path.realpath(path) in held

    def take(self) -> Seen:
        """What was seen since the last call."""
        seen, self.seen = self.seen, Seen()
        return seen

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self._busy:
            return
        self._busy = True
        try:
            if event == "open":
                self._opened(*arguments[:3])
            elif event in ("os.putenv", "os.unsetenv"):
                self._set(os.fsdecode(arguments[0]))
            elif event in _STARTS:  # torch.compile starts workers: these are the library's
                self._note(self.seen.started, event, nearest(skip=(CHECK, STANDARD)))
            elif event in _NETWORK:
                self._note(self.seen.network, event, nearest())
        finally:
            self._busy = False

    def _note(self, seen: list[tuple[str, str]], event: str, at: tuple[str, str]) -> None:
        kind, line = at
        if kind == OWN:
            seen.append((event, line))

    def _set(self, name: str) -> None:
        if nearest(skip=(CHECK, STANDARD))[0] == LIBRARY:
            self.by_libraries.add(name)

    def _opened(self, path: Any, mode: Any, flags: Any) -> None:
        if not isinstance(path, (str, bytes, os.PathLike)):
            return
        name = os.path.abspath(os.fsdecode(path))
        if self._holds(name):
            if frames.asked_by_submission():
                self.seen.held.append((name, frames.own_line()))
        elif not self._is_of_the_system(name):
            kind, line = nearest()
            if kind != OWN:
                return
            writes = isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR)
            (self.seen.written if writes else self.seen.read).append((name, line))

    def _is_of_the_system(self, name: str) -> bool:
        """Code, libraries and what the system itself offers as files."""
        if name.endswith(_CODE) or name.startswith((*_SYSTEM, *_PREFIXES)):
            return True
        return "torchinductor" in name or os.path.isdir(name)
