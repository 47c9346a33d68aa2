"""Is the trial alive, how much time has it used, and how long does a step take?  A few numbers in
memory that is shared, or in a mapped file, written at every step.

The file survives a SIGKILL of the process: what the clock showed then is charged when the trial is
resumed.
"""

import mmap
import os
import statistics
import struct
import time
from enum import IntEnum
from pathlib import Path

CLOCK_FILE = "clock.bin"  # in the trial folder
_LAYOUT = struct.Struct("<ddd")  # monotonic s of the beat, timed s, phase
_LAST = 64  # steps whose durations are kept
_ENOUGH = 8  # steps before their median says anything: the first ones compile and warm up
_STEP = struct.Struct("<d")
_SIZE = _LAYOUT.size + _LAST * _STEP.size


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
        self._steps, self._last = 0, (0.0, Phase.SETUP)
        if path is None:
            self._map = mmap.mmap(-1, _SIZE)
        else:
            path.touch()
            with path.open("r+b") as file:
                os.posix_fallocate(file.fileno(), 0, _SIZE)  # a full disk must not show at a beat
                self._map = mmap.mmap(file.fileno(), _SIZE)

    def beat(self, phase: Phase, timed: float) -> None:
        """Alive, in `phase`, with `timed` seconds on the submission's clock."""
        now = time.monotonic()
        # not pack_into: it writes zeros first, and who reads then sees a trial that never was alive
        self._map[: _LAYOUT.size] = _LAYOUT.pack(now, timed, float(phase))
        before, last = self._last
        if phase is Phase.TRAIN and last is Phase.TRAIN:
            place = _LAYOUT.size + self._steps % _LAST * _STEP.size
            _STEP.pack_into(self._map, place, now - before)
            self._steps += 1
        self._last = (now, phase)

    def read(self) -> tuple[float, float, Phase]:
        """(monotonic seconds of the last beat, timed seconds, phase)."""
        at, timed, phase = _LAYOUT.unpack_from(self._map, 0)
        return at, timed, Phase(int(phase))

    def median_step(self) -> float | None:
        """Median seconds between the last beats in training; None if there are too few."""
        rest = self._map[_LAYOUT.size : _SIZE]
        known = [seconds for (seconds,) in _STEP.iter_unpack(rest) if seconds > 0]
        return statistics.median(known) if len(known) >= _ENOUGH else None


def read_clock(path: Path) -> tuple[float, Phase] | None:
    """(timed seconds, phase) in the file of a trial; None if there is none yet."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    if len(content) < _LAYOUT.size:
        return None
    _, timed, phase = _LAYOUT.unpack_from(content)
    return timed, Phase(int(phase))
