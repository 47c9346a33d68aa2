"""Is the trial alive, and how much time has it used?  A few numbers in a memory-mapped file,
written at every step.

The file survives a SIGKILL of the process: what the clock showed then is charged when the trial is
resumed.
"""

import mmap
import struct
import time
from enum import IntEnum
from pathlib import Path

_LAYOUT = struct.Struct("<ddd")  # monotonic s of the beat, timed s, phase


class Phase(IntEnum):
    """What the trial is doing."""

    SETUP = 0
    TRAIN = 1
    EVAL = 2
    END = 3


class Heartbeat:
    """Written by the trial, read by its supervisor.

    Args:
        path: file to map; None: shared memory between a process and its forks.
    """

    def __init__(self, path: Path | None = None) -> None:
        if path is None:
            self._map = mmap.mmap(-1, _LAYOUT.size)
        else:
            if not path.exists() or path.stat().st_size != _LAYOUT.size:
                path.write_bytes(bytes(_LAYOUT.size))
            with path.open("r+b") as file:
                self._map = mmap.mmap(file.fileno(), _LAYOUT.size)

    def beat(self, phase: Phase, timed: float) -> None:
        """Alive, in `phase`, with `timed` seconds on the submission's clock."""
        self._map[: _LAYOUT.size] = _LAYOUT.pack(time.monotonic(), timed, float(phase))

    def read(self) -> tuple[float, float, Phase]:
        """(monotonic seconds of the last beat, timed seconds, phase)."""
        at, timed, phase = _LAYOUT.unpack_from(self._map, 0)
        return at, timed, Phase(int(phase))
