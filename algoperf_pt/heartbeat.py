"""Is the trial alive, how much time has it used, and how long does a step take?  A few numbers in
memory that is shared, or in a mapped file, written at every step.

The file survives a SIGKILL of the process: what the clock showed then is charged when the trial is
resumed.
"""

import math
import mmap
import os
import statistics
import struct
import time
from dataclasses import dataclass
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
        return _median_step(self._map[_LAYOUT.size : _SIZE])


@dataclass(frozen=True)
class Beat:
    """The last beat in the file of a trial.

    Args:
        at: s of the monotonic clock of the trial's machine.
        timed: s on the submission's clock.
        phase: what the trial was doing.
        step: median s between the last beats in training; None if there are too few.
    """

    at: float
    timed: float
    phase: Phase
    step: float | None


def parse_beat(content: bytes) -> Beat | None:
    """The beat in the bytes of a clock file; None if they hold none."""
    if len(content) < _SIZE:
        return None
    at, timed, phase = _LAYOUT.unpack_from(content)
    if not math.isfinite(at) or not math.isfinite(timed) or phase not in tuple(Phase):
        return None
    return Beat(at, timed, Phase(int(phase)), _median_step(content[_LAYOUT.size : _SIZE]))


def read_clock(path: Path) -> tuple[float, Phase] | None:
    """(timed seconds, phase) in the file of a trial; None if there is none yet."""
    try:
        beat = parse_beat(path.read_bytes())
    except OSError:
        return None
    return None if beat is None else (beat.timed, beat.phase)


def _median_step(steps: bytes) -> float | None:
    known = [seconds for (seconds,) in _STEP.iter_unpack(steps) if seconds > 0]
    return statistics.median(known) if len(known) >= _ENOUGH else None
