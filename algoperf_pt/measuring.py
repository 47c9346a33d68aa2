"""How long does something take, and how much memory?  Repetitions next to a matrix product, so that
figures of two machines can be compared.

As section A of the reference's figures was taken: the product is timed before and after in the same
process with the same threads, and the peak of memory is counted from after the first product on.
"""

import ctypes
import gc
import math
import re
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

_SIDE = 2048  # of the product's float32 matrices
_PRODUCTS = 5  # timed, after one that is not
_MB = 2**20


class Stopwatch:
    """Adds up wall and CPU time of what is done inside `with`: all the process's threads, no child
    processes.  A GPU's queue is emptied at both ends.

    Args:
        device: on which the work is done.
    """

    def __init__(self, device: torch.device) -> None:
        self._cuda = device.type == "cuda"
        self.wall = self.cpu = 0.0  # s

    def __enter__(self) -> "Stopwatch":
        self._wait()
        self._cpu_start, self._start = time.process_time(), time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        self._wait()
        self.wall += time.perf_counter() - self._start
        self.cpu += time.process_time() - self._cpu_start

    def _wait(self) -> None:
        if self._cuda:
            torch.cuda.synchronize()


@dataclass(frozen=True)
class Times:
    """Wall and CPU time of each repetition, ms."""

    wall: list[float]
    cpu: list[float]

    @property
    def median(self) -> float:
        """Of the wall times, ms."""
        return statistics.median(self.wall)

    @property
    def median_cpu(self) -> float:
        """Of the CPU times, ms."""
        return statistics.median(self.cpu)


@dataclass(frozen=True)
class Measured:
    """A measurement with the products before and after it.  Memory in MB (2^20 bytes)."""

    times: Times
    before: Times
    after: Times
    start_mb: float
    peak_mb: float | None

    def figures(self) -> dict[str, Any]:
        """What stands in the line: ms, MB, and ratios to the product."""
        wall = self.times.wall
        matmul = statistics.mean([self.before.median, self.after.median])
        matmul_cpu = statistics.mean([self.before.median_cpu, self.after.median_cpu])
        return {
            "median_ms": self.times.median,
            "min_ms": min(wall),
            "mean_ms": statistics.mean(wall),
            "spread": max(wall) / min(wall),
            "cpu_ms": self.times.median_cpu,
            "start_mb": self.start_mb,
            "peak_mb": self.peak_mb,
            "matmul_ms": matmul,
            "matmul_cpu_ms": matmul_cpu,
            "matmul_moved": self.after.median / self.before.median,
            "ratio": self.times.median / matmul,
            "ratio_cpu": self.times.median_cpu / matmul_cpu,
        }


def measure(
    repetition: Callable[[Stopwatch], None], device: torch.device, repeats: int, warmup: int
) -> Measured:
    """Repeat something and measure it.

    Args:
        repetition: does it once; what counts, it does inside `with` on the stopwatch it is given.
        device: on which it works; the product is made there too.
        repeats, warmup: repetitions that count, after those that do not.
    """
    gc.collect()
    before = matrix_product(device)
    memory = Memory(device)
    repeated(repetition, device, warmup)
    times = repeated(repetition, device, repeats)
    peak = memory.peak()
    return Measured(times, before, matrix_product(device), memory.start, peak)


def repeated(
    repetition: Callable[[Stopwatch], None], device: torch.device, repeats: int
) -> Times:
    """Times of repetitions, each with a stopwatch of its own."""
    watches = [Stopwatch(device) for _ in range(repeats)]
    for watch in watches:
        repetition(watch)
    return Times([1e3 * watch.wall for watch in watches], [1e3 * watch.cpu for watch in watches])


def matrix_product(device: torch.device) -> Times:
    """The calibration: float32 2048x2048 by 2048x2048, after one warm-up."""
    generator = torch.Generator().manual_seed(0)
    a, b = torch.randn((2, _SIDE, _SIDE), generator=generator).to(device)
    out = torch.empty_like(a)

    def product(watch: Stopwatch) -> None:
        with watch:
            torch.mm(a, b, out=out)

    repeated(product, device, 1)
    return repeated(product, device, _PRODUCTS)


class Memory:
    """Peak memory since it was made, MB: what tensors hold on a GPU, else the process's resident
    memory, the imported libraries included.

    Args:
        device: whose memory.
    """

    def __init__(self, device: torch.device) -> None:
        self._cuda = device.type == "cuda"
        self._counts = True
        if self._cuda:
            torch.cuda.reset_peak_memory_stats()
            self.start = torch.cuda.memory_allocated() / _MB
        else:
            _return_free_memory()
            self._counts = _reset_resident_peak()
            self.start = _resident("VmRSS")

    @property
    def counts_tensors(self) -> bool:
        """Whether it is a GPU's."""
        return self._cuda

    def peak(self) -> float | None:
        """None where the system cannot count anew (only Linux can)."""
        if not self._counts:
            return None
        if self._cuda:
            return torch.cuda.max_memory_allocated() / _MB
        return max(_resident("VmHWM"), self.start)


def device_name(device: torch.device) -> str:
    """The GPU's or the processor's name as the system gives it."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    path = Path("/proc/cpuinfo")
    text = path.read_text() if path.exists() else ""
    found = re.search(r"^model name\s*:\s*(.+)$", text, flags=re.MULTILINE)
    return found.group(1) if found else "unknown CPU"


def _return_free_memory() -> None:
    """To the system, so that what was measured before does not show here (glibc keeps it)."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def _reset_resident_peak() -> bool:
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return False
    return True


def _resident(name: str) -> float:
    path = Path("/proc/self/status")
    text = path.read_text() if path.exists() else ""
    found = re.search(rf"^{name}:\s*(\d+) kB", text, flags=re.MULTILINE)
    return int(found.group(1)) / 1024 if found else math.nan
