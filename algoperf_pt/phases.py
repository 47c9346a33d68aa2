"""Where does a step's time go?  Forward, loss, backward and update, of a few steps: each call of
the view's forward and backward closes one part and opens the next, so nothing falls between two.

On a GPU the marks are CUDA events, read when they are long past: nothing waits for the device.  The
loss is what lies between a forward pass and a backward pass; the update is everything after a
backward pass and before the first forward pass.  Passes that a submission does not make through its
view count where they happen.
"""

import resource
import statistics
import time
from collections import deque
from collections.abc import Callable
from typing import Any

import torch

from algoperf_pt.view import Engine

PHASES = ("forward", "loss", "backward", "update")
EVERY = 32  # steps from one that is looked at to the next
FIRST = 10  # the first to be looked at (0-based): earlier ones compile and warm up
_KEPT = 512  # steps, the last ones
_TO_BYTES = 1024  # Linux tells the resident set in KiB

Mark = tuple[str, Any]  # the phase that begins here, and the moment


class Phases:
    """Looks at every 32nd step, unless its metrics are written, which costs time of its own.

    Args:
        cuda: whether the work is done on a GPU.
        now: the clock on a CPU, seconds.
    """

    def __init__(self, cuda: bool, now: Callable[[], float] = time.perf_counter) -> None:
        self._cuda, self._now = cuda, now
        self._on = False
        self._marks: list[Mark] = []
        self._unread: deque[list[Mark]] = deque(maxlen=4)
        self._seconds: deque[dict[str, float]] = deque(maxlen=_KEPT)

    def watched(self, engine: Engine) -> Engine:
        """The same engine; its calls are marked in steps that are looked at."""
        forward, backward = engine.forward, engine.backward

        def marked_forward(*arguments: Any, **options: Any) -> Any:
            if not self._on:
                return forward(*arguments, **options)
            self._mark("forward")
            out = forward(*arguments, **options)
            self._mark("loss")
            return out

        def marked_backward(loss: torch.Tensor) -> None:
            if not self._on:
                return backward(loss)
            self._mark("backward")
            backward(loss)
            self._mark("update")

        return Engine(marked_forward, marked_backward, engine.no_sync)

    def begin(self, number: int, written: bool) -> None:
        """Step `number` (0-based) begins.  `written`: its metrics will be."""
        if number % EVERY == FIRST and not written:
            self._on, self._marks = True, []
            self._mark("update")

    def end(self) -> None:
        """The step is over (on a GPU: all its work is queued)."""
        if not self._on:
            return
        self._mark("")
        self._on = False
        self._unread.append(self._marks)
        self._read()

    def summary(self) -> dict[str, Any]:
        """{"steps", "every", "clock", "median", "mean"}: seconds a step by phase; after the device
        was waited for.
        """
        self._read()
        clock = "CUDA events" if self._cuda else "perf_counter"
        found: dict[str, Any] = {"steps": len(self._seconds), "every": EVERY, "clock": clock}
        for name, of in (("median", statistics.median), ("mean", statistics.fmean)):
            columns = {phase: [step[phase] for step in self._seconds] for phase in PHASES}
            found[name] = {phase: of(column) for phase, column in columns.items() if column}
        return found

    def _mark(self, phase: str) -> None:
        if not self._cuda:
            self._marks.append((phase, self._now()))
            return
        event = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
        event.record()
        self._marks.append((phase, event))

    def _read(self) -> None:
        """Steps whose last event is past; the others wait."""
        while self._unread and (not self._cuda or self._unread[0][-1][1].query()):
            marks = self._unread.popleft()
            step = dict.fromkeys(PHASES, 0.0)
            for (phase, begin), (_, end) in zip(marks, marks[1:]):
                step[phase] += begin.elapsed_time(end) / 1000 if self._cuda else end - begin
            self._seconds.append(step)


def peak_memory(device: torch.device) -> dict[str, int | None]:
    """Bytes of this process at most: resident in the machine's memory; on the GPU, by tensors and
    as reserved for them.
    """
    cuda = device.type == "cuda"
    return {
        "peak_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _TO_BYTES,
        "peak_cuda_bytes": torch.cuda.max_memory_allocated(device) if cuda else None,
        "peak_cuda_reserved_bytes": torch.cuda.max_memory_reserved(device) if cuda else None,
    }
