"""Which key was pressed?  Single keys from a terminal, without waiting for a whole line."""

import os
import re
import select
import sys
import termios
import time
import tty
from types import TracebackType
from typing import Any

_ARROWS = {"\x1b[A": "k", "\x1b[B": "j", "\x1bOA": "k", "\x1bOB": "j", "\x1b[6~": " "}
_KEY = re.compile(r"\x1b[\[O][0-9;]*[A-Za-z~]|.", re.DOTALL)


class Keys:
    """Keys of standard input, if it is a terminal; its settings are put back at the end."""

    def __init__(self) -> None:
        self._handle = sys.stdin.fileno() if sys.stdin.isatty() else None
        self._before: list[Any] = []
        self._waiting: list[str] = []  # keys that came together with the last one

    def __enter__(self) -> "Keys":
        if self._handle is not None:
            self._before = termios.tcgetattr(self._handle)
            tty.setcbreak(self._handle)  # Ctrl-C still interrupts
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        if self._handle is not None:
            termios.tcsetattr(self._handle, termios.TCSADRAIN, self._before)

    def wait(self, seconds: float) -> str:
        """The next key, within so many seconds, or ""; arrows are j and k."""
        if self._waiting:
            return self._waiting.pop(0)
        seconds = max(0.0, seconds)
        if self._handle is None:
            time.sleep(seconds)
            return ""
        ready, _, _ = select.select([self._handle], [], [], seconds)
        if not ready:
            return ""
        try:
            pressed = os.read(self._handle, 1024).decode(errors="replace")
        except OSError:
            return "q"
        self._waiting = [_ARROWS.get(key, key) for key in _KEY.findall(pressed)]
        return self._waiting.pop(0) if self._waiting else "q"  # or the terminal is gone
