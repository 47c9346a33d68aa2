"""What is a figure of the calibration?  The median over repetitions, with their spread."""

from collections.abc import Callable
from typing import Any

import torch

from algoperf_pt.errors import AlgoperfError
from algoperf_pt.measuring import Stopwatch, Times, repeated

_DIGITS = 5  # of a figure


def timed(run: Callable[[], object], device: torch.device, repeats: int, times: int = 1) -> Times:
    """Times of one `run` in each repetition, after one repetition that is not counted.

    Args:
        run: what is timed.
        device: whose queue is emptied before and after.
        repeats: repetitions.
        times: runs in a repetition.
    """

    def once(watch: Stopwatch) -> None:
        with watch:
            for _ in range(times):
                run()

    repeated(once, device, 1)
    found = repeated(once, device, repeats)
    return Times([ms / times for ms in found.wall], [ms / times for ms in found.cpu])


def figures(wall: list[float]) -> dict[str, Any]:
    """What stands in the calibration for milliseconds of repetitions.  `spread` is the longest
    over the shortest."""
    ordered = sorted(wall)
    count = len(ordered)
    median = (ordered[(count - 1) // 2] + ordered[count // 2]) / 2
    least, most = ordered[0], ordered[-1]
    found = {"median_ms": median, "min_ms": least, "max_ms": most, "spread": most / least}
    return {k: float(f"{v:.{_DIGITS}g}") for k, v in found.items()} | {"repeats": count}


def skipped(error: Exception) -> dict[str, Any]:
    """What stands there for something that cannot run on this machine."""
    told = error.problem if isinstance(error, AlgoperfError) else f"{type(error).__name__}: {error}"
    return {"skipped": " ".join(told.split())[:300]}
