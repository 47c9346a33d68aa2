"""How much memory may a trial take, and was it too much?

On a GPU the limit is torch's own; on a CPU the process may not map more than is left, and its peak
of resident memory is compared with the limit after each phase.
"""

import re
import resource
from pathlib import Path

import psutil
import torch

from algoperf_pt.errors import ConfigError
from algoperf_pt.measuring import Memory

_MB = 2**20


class TooMuch(MemoryError):
    """The peak was above the limit, although the system gave it."""


class Budget:
    """The limit of this process.

    Args:
        device: on which the trial computes.
        limit: bytes; None: what the machine has.
    """

    def __init__(self, device: torch.device, limit: float | None) -> None:
        self._device = device
        if device.type == "cuda":
            whole = torch.cuda.get_device_properties(device).total_memory
            self.bytes = min(limit or whole, whole)
            torch.cuda.set_per_process_memory_fraction(self.bytes / whole, device)
        else:
            self.bytes = limit or _resident() + psutil.virtual_memory().available
            self._cap()

    def watch(self) -> "Watch":
        """Peak memory from now on."""
        return Watch(Memory(self._device), self.bytes)

    def _cap(self) -> None:
        """Else the system would look for a process to kill."""
        left = self.bytes - _resident()
        if left <= 0:
            raise ConfigError(
                f"--memory-gb {self.bytes / 1e9:g} is less than an idle process has",
                expected=f"more than {_resident() / 1e9:.2f}",
                where="--memory-gb",
            )
        hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
        resource.setrlimit(resource.RLIMIT_DATA, (int(_status("VmData") + left), hard))


class Watch:
    """Peak memory since it was made.

    Args:
        memory: which counts it.
        limit: bytes.
    """

    def __init__(self, memory: Memory, limit: float) -> None:
        self._memory, self._limit = memory, limit

    def figures(self) -> dict[str, float | None]:
        """`peak_bytes`, as `peak` gives them, and on a GPU `reserved_bytes`: what torch holds,
        fragments included.
        """
        found: dict[str, float | None] = {"peak_bytes": self.peak()}
        if self._memory.counts_tensors:
            found["reserved_bytes"] = float(torch.cuda.max_memory_reserved())
        return found

    def peak(self) -> float | None:
        """Bytes; None where the system cannot tell.

        Raises:
            TooMuch: more than the limit.
        """
        found = self._memory.peak()
        if found is not None and found * _MB > self._limit:
            told = f"{found * _MB / 1e9:.2f} GB of {self._limit / 1e9:.2f} GB"
            raise TooMuch(f"out of memory: {told}")
        return None if found is None else found * _MB


def _resident() -> float:
    return float(psutil.Process().memory_info().rss)


def _status(name: str) -> float:
    text = Path("/proc/self/status").read_text()
    found = re.search(rf"^{name}:\s*(\d+) kB", text, flags=re.MULTILINE)
    return int(found.group(1)) * 1024.0 if found else 0.0
