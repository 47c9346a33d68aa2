"""What if nobody reads what we print any more?  `train.py ... | head` must not end a trial."""

import os
import sys
from typing import Any, TextIO


def outlive_readers() -> None:
    """From now on, what is printed after the reader of a pipe has gone is dropped."""
    sys.stdout = _Tolerant(sys.stdout)  # type: ignore[assignment]
    sys.stderr = _Tolerant(sys.stderr)  # type: ignore[assignment]


class _Tolerant:
    """A text stream whose pipe may break."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except BrokenPipeError:
            self._let_go()
            return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except BrokenPipeError:
            self._let_go()

    def _let_go(self) -> None:
        """What is in the buffer goes nowhere, and nothing breaks at the end of the program."""
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self._stream.fileno())
        os.close(nowhere)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
