"""Which cores may this process use, and how are they dealt out to trials side by side?  Linux's
affinity, which SLURM and containers set, too.
"""

import os
from collections.abc import Sequence
from pathlib import Path

_TOPOLOGY = Path("/sys/devices/system/cpu")


def usable_cores() -> int:
    """Number of cores that this process may use; at least one."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def shares(count: int, cores: Sequence[int]) -> list[list[int]]:
    """`count` sets of cores, disjoint where there are enough; what is left over stays free, so that
    all trials have the same number.

    Args:
        count: number of sets.
        cores: neighbours first (`neighbours`).
    """
    each = len(cores) // count
    if each == 0:
        return [[cores[number % len(cores)]] for number in range(count)]
    return [list(cores[number * each : (number + 1) * each]) for number in range(count)]


def neighbours() -> list[int]:
    """The usable cores, threads of one physical core beside each other: two trials share none."""
    return sorted(os.sched_getaffinity(0), key=_physical)


def _physical(core: int) -> tuple[int, int, int]:
    """(package, physical core, number)."""
    folder = _TOPOLOGY / f"cpu{core}" / "topology"
    try:
        package = int((folder / "physical_package_id").read_text())
        return package, int((folder / "core_id").read_text()), core
    except (OSError, ValueError):
        return 0, core, core
