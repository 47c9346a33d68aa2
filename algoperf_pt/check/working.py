"""Does anybody compute while the clock stands?  The main thread sleeps, and what uses a CPU or the
device meanwhile is not the harness.
"""

from collections.abc import Callable

import psutil
import torch

_SECONDS = 0.3  # of rest
_WORK = 0.03  # s of CPU time that nobody may use meanwhile; a tick of the system is 0.01
_WAIT = 0.005  # s that an idle device may take to say that it is idle


class Rest:
    """A pause that is long enough to see who does not rest.

    Args:
        sleep, cpu, clock: time.sleep, time.process_time and time.perf_counter as Python has them.
    """

    def __init__(
        self, sleep: Callable[[float], None], cpu: Callable[[], float], clock: Callable[[], float]
    ) -> None:
        self._sleep, self._cpu, self._clock = sleep, cpu, clock

    def disturbed(self, device: torch.device) -> list[str]:
        """Rest; what was seen, in words.  The device must have been synchronised before."""
        found = []
        children = psutil.Process().children(recursive=True)
        before = self._cpu() + _spent(children)
        self._sleep(_SECONDS)
        worked = self._cpu() + _spent(children) - before
        if worked > _WORK:
            found.append("threads or processes computed while the clock stood and all should rest")
        if device.type == "cuda":
            asked = self._clock()
            torch.cuda.synchronize(device)
            if self._clock() - asked > _WAIT:
                found.append("work was in flight on the GPU while the clock stood")
        return found


def _spent(processes: list[psutil.Process]) -> float:
    """CPU seconds; 0 for a process that has ended."""
    total = 0.0
    for process in processes:
        try:
            times = process.cpu_times()
        except psutil.Error:
            continue
        total += times.user + times.system
    return total
