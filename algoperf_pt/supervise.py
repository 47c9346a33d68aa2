"""Who tells how a trial ended when it cannot tell itself?  A small parent process, without torch,
around each rank.

It forks the trial before torch is imported, watches its heartbeat, passes signals on, and writes
the status of a trial that was killed or hangs (docs/adr/0004-isolation.md).
"""

import os
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from algoperf_pt.heartbeat import Heartbeat, Phase
from algoperf_pt.orphans import die_with
from algoperf_pt.result import exit_code_of, fail, read_result
from algoperf_pt.status import EXIT_CODES, Status, stopped_by

_POLL = 0.5  # s between looks at the heartbeat
_GRACE = 5.0  # s to write the stacks before a hung trial is killed


@dataclass(frozen=True)
class Limits:
    """How long a trial may be silent.  The names are those of conf/trainer.

    Args:
        hang_steps: without a step for so many times the median of the last ones it hangs,
        hang_floor: but never before so many s,
        hang_timeout: and always after so many s.
        eval_timeout: the same for one evaluation, the set-up and the end, s.
    """

    hang_steps: float
    hang_floor: float
    hang_timeout: float
    eval_timeout: float

    def silence(self, phase: Phase, median_step: float | None) -> float:
        """Seconds without a beat that count as hung."""
        if phase is not Phase.TRAIN:
            return self.eval_timeout
        if median_step is None:
            return self.hang_timeout
        return min(self.hang_timeout, max(self.hang_floor, self.hang_steps * median_step))


def supervise(run: Callable[[Heartbeat], int], folder: Path, rank: int, limits: Limits) -> int:
    """Run a trial in a fork of this process and return its exit code.

    Args:
        run: the trial of this rank; returns its exit code.
        folder: the trial folder, for result.json and stacks.
        rank: this rank.
        limits: how long it may be silent.
    """
    heartbeat = Heartbeat()
    heartbeat.beat(Phase.SETUP, 0.0)
    sys.stdout.flush()
    sys.stderr.flush()
    parent = os.getpid()
    child = os.fork()
    if child == 0:
        die_with(parent, signal.SIGKILL)  # no orphan goes on training
        os._exit(_run(run, heartbeat))
    _pass_signals_on(child)
    hung = _watch(child, heartbeat, limits, folder, rank)
    _, wait_status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(wait_status)
    if hung:
        return exit_code_of(folder, Status.HUNG)
    if code < 0:
        name = signal.Signals(-code).name
        stopped = -code in (signal.SIGTERM, signal.SIGINT)  # during the set-up: nothing to save yet
        status = stopped_by(-code) if stopped else Status.RANK_LOST
        fail(folder, status, f"rank {rank} was killed by {name}", rank)
        return exit_code_of(folder, status)
    return code


def _run(run: Callable[[Heartbeat], int], heartbeat: Heartbeat) -> int:
    try:
        return run(heartbeat)
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else 1
    except BaseException as error:  # of this file's: nothing may go on in the fork as the parent
        traceback.print_exception(error)
        return EXIT_CODES[Status.ERROR]
    finally:
        sys.stdout.flush()
        sys.stderr.flush()


def _watch(child: int, heartbeat: Heartbeat, limits: Limits, folder: Path, rank: int) -> bool:
    """Wait for the end of the child; True if it was killed because it, or another rank, hung."""
    before = read_result(folder)
    descriptor = os.pidfd_open(child)
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    try:
        while not poll.poll(_POLL * 1000):
            at, _, phase = heartbeat.read()
            silent = time.monotonic() - at
            if silent > limits.silence(phase, heartbeat.median_step()):
                _kill_hung(child, folder, rank, _silence(phase, silent, heartbeat))
                return True
            if _another_rank_hangs(folder, before):
                _kill_hung(child, folder, rank, "another rank hangs")
                return True
    finally:
        os.close(descriptor)
    return False


def _silence(phase: Phase, silent: float, heartbeat: Heartbeat) -> str:
    what = "no step" if phase is Phase.TRAIN else f"no end of the {phase.name.lower()}"
    median = heartbeat.median_step() if phase is Phase.TRAIN else None
    usual = f" (a step takes {median:.3g} s)" if median is not None else ""
    return f"{what} for {silent:.0f} s{usual}"


def _another_rank_hangs(folder: Path, before: dict[str, Any] | None) -> bool:
    """Then this rank waits for it, and its stacks tell where.  `before`: an earlier attempt's
    result.
    """
    result = read_result(folder)
    return result is not None and result != before and result["status"] == Status.HUNG.value


def _kill_hung(child: int, folder: Path, rank: int, what: str) -> None:
    """Ask for the stacks, record the status, give the other ranks time for theirs, and kill."""
    os.kill(child, signal.SIGUSR1)  # faulthandler writes the stacks of all threads
    stacks = folder / f"stacks_rank_{rank}.txt"
    _wait_for([stacks])
    fail(folder, Status.HUNG, f"rank {rank}: {what}; stacks in stacks_rank_*.txt", rank)
    _wait_for(sorted(folder.glob("stacks_rank_*.txt")))
    os.kill(child, signal.SIGKILL)


def _wait_for(files: list[Path]) -> None:
    """Until all have content, or for _GRACE seconds."""
    end = time.monotonic() + _GRACE
    while time.monotonic() < end and not all(f.exists() and f.stat().st_size for f in files):
        time.sleep(0.05)


def _pass_signals_on(child: int) -> None:
    """SIGTERM goes on to the trial, which saves and stops; Ctrl-C reaches it anyway (same
    terminal).
    """

    def forward(number: int, _: object) -> None:
        try:
            os.kill(child, number)
        except ProcessLookupError:
            pass

    signal.signal(signal.SIGTERM, forward)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
