"""Has the machine enough of everything, and a clock to go by?  Disk, shared memory, files, memory,
cores with a container's limits, load, clock.
"""

import os
import resource
import shutil
import tempfile
import time
from pathlib import Path

import psutil

from algoperf_pt.cores import usable_cores
from algoperf_pt.doctor.finding import Examined
from algoperf_pt.doctor.known import known

_GIB = 2**30
_DISK = 5 * _GIB  # two checkpoints of the largest workload with two moments have about 4 GiB
_SHM = _GIB  # batches on their way from workers; Docker gives 64 MiB unless told
_SPARE = 256  # open files beside one for each shard
_MEMORY = 2 * _GIB  # torch and its libraries alone take about 0.5 GiB a process
_CGROUP = Path("/sys/fs/cgroup")
_CLOCK = Path("/sys/devices/system/clocksource/clocksource0/current_clocksource")


def look_at_disk(found: Examined, experiments: Path) -> None:
    """Whether the folder of experiments can be written, and has room; nothing is written there."""
    there = _existing(experiments.absolute())
    free = shutil.disk_usage(there).free
    found.facts.append(f"{experiments}: {free / _GIB:.1f} GiB free")
    if not there.is_dir():
        found.wrong(f"{there} is no folder", f"move it, or experiment_dir=DIR for {experiments}")
    elif not os.access(there, os.W_OK | os.X_OK):
        found.wrong(f"{there} cannot be written", f"chmod u+wx {there}, or experiment_dir=DIR")
    if free < _DISK:
        text = f"{free / _GIB:.1f} GiB free for {experiments}; large checkpoints need 5"
        found.wrong(text, "make room, or experiment_dir=DIR on another disk")
    if free and _nodes(there) == 0:
        found.wrong(f"the disk of {there} has no free inodes", "remove many small files")
    with tempfile.TemporaryFile() as file:  # loaders and compilers need it, too
        file.write(b"x")


def look_at_shared_memory(found: Examined, path: Path = Path("/dev/shm")) -> None:
    """Where workers of a loader put batches."""
    if not path.is_dir():
        found.wrong(f"there is no {path}: workers cannot hand over batches", "data.workers=0")
        return
    total, _, free = shutil.disk_usage(path)
    found.facts.append(f"{path}: {free / _GIB:.1f} of {total / _GIB:.1f} GiB free")
    if free < _SHM:
        text = f"{free / 2**20:.0f} MiB free in {path}; workers hand over batches there"
        found.wrong(text, "docker run --shm-size=8g (or --ipc=host), or data.workers=0")


def look_at_files(found: Examined, shards: int = 0, limit: int | None = None) -> None:
    """How many files a process may open.

    Args:
        found: where facts and problems go.
        shards: of the dataset with most of them.
        limit: for tests; None: this process's.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    soft = soft if limit is None else limit
    found.facts.append(f"{soft} open files (at most {'any' if hard < 0 else hard})")
    if 0 <= soft < shards + _SPARE:
        text = f"a process may open {soft} files; {shards} shards and what else is open need more"
        found.wrong(text, f"ulimit -n {max(4096, 2 * (shards + _SPARE))}")


def look_at_memory(found: Examined, cgroup: Path = _CGROUP) -> None:
    """Free memory, and a container's limit below it."""
    memory = psutil.virtual_memory()
    limit = _read_number(cgroup / "memory.max", cgroup / "memory" / "memory.limit_in_bytes")
    free, total = memory.available, memory.total
    found.facts.append(f"{free / _GIB:.1f} of {total / _GIB:.1f} GiB free")
    if limit is not None and limit < total:
        found.facts.append(f"the control group allows {limit / _GIB:.1f} GiB")
        used = _read_number(cgroup / "memory.current", cgroup / "memory/memory.usage_in_bytes")
        free = min(free, max(0, limit - (used or 0)))
    if free < _MEMORY:
        text = f"{free / _GIB:.1f} GiB of memory free; torch and a small workload need 2"
        found.wrong(text, "end other programs, or raise the container's limit (docker -m)")


def look_at_cores(
    found: Examined, cgroup: Path = _CGROUP, load: float | None = None, cores: int | None = None
) -> None:
    """Cores that may be used, a container's quota of them, and what else runs on them.

    Args:
        found: where facts and problems go.
        cgroup: the control group's folder.
        load, cores: for tests; None: this machine's.
    """
    cores = usable_cores() if cores is None else cores
    load = os.getloadavg()[0] if load is None else load
    found.facts.append(f"{cores} of {os.cpu_count()} usable, load {load:.1f}")
    quota = _quota(cgroup)
    if quota is not None and quota < cores:
        text = f"the control group allows the time of {quota:g} cores; a trial has {cores} threads"
        found.wrong(text, f"trainer.threads={max(1, int(quota))}, or docker --cpus={cores}")
    if load > 0.5 * cores + 0.5:
        text = f"load {load:.1f} on {cores} cores: something else runs, and times would be longer"
        found.wrong(text, "wait for it or end it (top shows it)")


def look_at_clock(found: Examined, source: Path = _CLOCK) -> None:
    """The clock that trials are timed by."""
    clock = time.get_clock_info("perf_counter")
    name = source.read_text().strip() if source.exists() else "unknown source"
    found.facts.append(f"{clock.implementation}, {name}, resolution {clock.resolution:g} s")
    if not clock.monotonic or clock.adjustable:
        text = "time.perf_counter can be set or go back on this system"
        found.wrong(text, "run on Linux with CLOCK_MONOTONIC")
    if name in known()["slow_clocks"]:
        text = f"the kernel's clock source is {name}: each reading takes microseconds"
        found.wrong(text, f"echo tsc > {source} (as root), or boot with clocksource=tsc")


def _existing(path: Path) -> Path:
    """The folder itself, or the nearest above it that is there."""
    while not path.exists():
        path = path.parent
    return path


def _nodes(path: Path) -> int:
    told = os.statvfs(path)
    return told.f_favail if told.f_files else -1  # some file systems do not count them


def _quota(cgroup: Path) -> float | None:
    """Cores' worth of time; None: no limit."""
    path = cgroup / "cpu.max"
    if path.exists():
        quota, _, period = path.read_text().strip().partition(" ")
        return None if quota == "max" else int(quota) / int(period or 100_000)
    used = _read_number(cgroup / "cpu" / "cpu.cfs_quota_us")
    period_us = _read_number(cgroup / "cpu" / "cpu.cfs_period_us")
    return used / period_us if used and used > 0 and period_us else None


def _read_number(*paths: Path) -> int | None:
    """Of the first file that is there; None where it says "max"."""
    for path in paths:
        if path.exists():
            text = path.read_text().strip()
            return int(text) if text.lstrip("-").isdigit() else None
    return None
