"""Who tells how a trial ended when it cannot tell itself?  A small parent process, without torch,
around each rank.

It forks the trial before torch is imported, watches its heartbeat, passes signals on, and writes
the status of a trial that was killed or hangs (docs/adr/0004-isolation.md).
"""

import ctypes
import os
import select
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from algoperf_pt.heartbeat import Heartbeat, Phase
from algoperf_pt.result import exit_code_of, fail
from algoperf_pt.status import Status

_POLL = 0.5  # s between looks at the heartbeat
_GRACE = 5.0  # s to write the stacks before a hung trial is killed
_PR_SET_PDEATHSIG = 1  # Linux: the kernel kills the trial when its supervisor dies


def supervise(
    run: Callable[[Heartbeat], int],
    folder: Path,
    rank: int,
    hang_timeout: float,
    eval_timeout: float,
) -> int:
    """Run a trial in a fork of this process and return its exit code.

    Args:
        run: the trial of this rank; returns its exit code.
        folder: the trial folder, for result.json and stacks.
        rank: this rank.
        hang_timeout: s without a step that count as hung; eval_timeout: the same for an evaluation
            or the set-up.
    """
    heartbeat = Heartbeat()
    heartbeat.beat(Phase.SETUP, 0.0)
    sys.stdout.flush()
    sys.stderr.flush()
    parent = os.getpid()
    child = os.fork()
    if child == 0:
        _die_with(parent)
        os._exit(_run(run, heartbeat))
    _pass_signals_on(child)
    limits = {
        Phase.TRAIN: hang_timeout,
        Phase.SETUP: eval_timeout,
        Phase.EVAL: eval_timeout,
        Phase.END: eval_timeout,
    }
    hung = _watch(child, heartbeat, limits, folder, rank)
    _, wait_status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(wait_status)
    if hung:
        return exit_code_of(folder, Status.HUNG)
    if code < 0:
        name = signal.Signals(-code).name
        stopped = -code in (signal.SIGTERM, signal.SIGINT)  # during the set-up: nothing to save yet
        status = Status.USER_STOP if stopped else Status.RANK_LOST
        fail(folder, status, f"rank {rank} was killed by {name}", rank)
        return exit_code_of(folder, status)
    return code


def _run(run: Callable[[Heartbeat], int], heartbeat: Heartbeat) -> int:
    try:
        return run(heartbeat)
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()


def _watch(
    child: int, heartbeat: Heartbeat, limits: dict[Phase, float], folder: Path, rank: int
) -> bool:
    """Wait for the end of the child; True if it was killed because it hung."""
    descriptor = os.pidfd_open(child)
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    try:
        while not poll.poll(_POLL * 1000):
            at, _, phase = heartbeat.read()
            silent = time.monotonic() - at
            if silent > limits[phase]:
                _kill_hung(child, folder, rank, phase, silent)
                return True
    finally:
        os.close(descriptor)
    return False


def _kill_hung(child: int, folder: Path, rank: int, phase: Phase, silent: float) -> None:
    os.kill(child, signal.SIGUSR1)  # faulthandler writes the stacks of all threads
    stacks = folder / f"stacks_rank_{rank}.txt"
    end = time.monotonic() + _GRACE
    while time.monotonic() < end and not (stacks.exists() and stacks.stat().st_size):
        time.sleep(0.05)
    what = "no step" if phase is Phase.TRAIN else f"no end of the {phase.name.lower()}"
    fail(
        folder,
        Status.HUNG,
        f"rank {rank}: {what} for {silent:.0f} s; stacks in {stacks.name}",
        rank,
    )
    os.kill(child, signal.SIGKILL)


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


def _die_with(parent: int) -> None:
    """No orphan goes on training when the supervisor is killed."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)
