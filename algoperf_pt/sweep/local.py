"""Trials on this machine: some at a time, each with GPUs and cores of its own."""

import os
import shutil
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from algoperf_pt.cores import neighbours, shares
from algoperf_pt.errors import ConfigError
from algoperf_pt.sweep.backends import Running
from algoperf_pt.sweep.child import CONSOLE, command, environment, write_planned
from algoperf_pt.sweep.plan import Planned


@dataclass
class Slot:
    """Room for one trial."""

    gpus: tuple[str, ...]
    cores: tuple[int, ...]  # empty: all

    def __str__(self) -> str:
        return f"GPU {','.join(self.gpus)}" if self.gpus else "CPU"


class LocalTrial:
    """A trial that runs on this machine."""

    def __init__(self, process: "subprocess.Popen[bytes]", log: Path, slot: Slot) -> None:
        self._process, self.log, self.slot = process, log, slot
        self.where = str(slot)

    def poll(self) -> int | None:
        """The exit code, or None."""
        return self._process.poll()

    def stop(self) -> None:
        """SIGTERM to the trial's first process, which passes it on."""
        self._process.terminate()

    def kill(self) -> None:
        """SIGKILL to all its processes."""
        import psutil

        try:
            tree = psutil.Process(self._process.pid)
            processes = [*tree.children(recursive=True), tree]
        except psutil.NoSuchProcess:
            return
        for process in processes:
            try:
                process.send_signal(signal.SIGKILL)
            except psutil.NoSuchProcess:
                pass


class Local:
    """This machine.

    Args:
        parallel: trials at a time; None: as many as there are sets of GPUs, or one without GPUs.
        gpus: which GPUs; None: those of CUDA_VISIBLE_DEVICES, or else all.
        pin: give each trial cores of its own when several run at a time.
    """

    def __init__(
        self, parallel: int | None = None, gpus: Sequence[int] | None = None, pin: bool = True
    ) -> None:
        if parallel is not None and parallel < 1:
            raise ConfigError(
                f"hydra.launcher.parallel: impossible value {parallel}",
                expected="a whole number of at least 1, or null",
            )
        self._parallel, self._pin = parallel, pin
        self._gpus = find_gpus() if gpus is None else [str(gpu) for gpu in gpus]
        self._free: list[Slot] = []
        self._count = 0

    def prepare(self, trials: Sequence[Planned]) -> None:
        """Make the slots."""
        gpus = self._gpus if any(_wants_gpu(planned) for planned in trials) else []
        each = max((_per_trial(planned, gpus, self._parallel) for planned in trials), default=1)
        self._free = make_slots(gpus, each, self._parallel, neighbours() if self._pin else [])
        self._count = len(self._free)

    def has_room(self) -> bool:
        """Whether a slot is free."""
        return bool(self._free)

    def start(self, planned: Planned) -> LocalTrial:
        """A fresh interpreter in a session of its own: Ctrl-C reaches the parent alone."""
        words = write_planned(planned.config(), planned.folder)
        slot = self._free.pop(0)
        log = planned.folder / CONSOLE
        gpus = {"CUDA_VISIBLE_DEVICES": ",".join(slot.gpus)} if slot.gpus else {}
        me = os.getpid()
        before = os.sched_getaffinity(0)
        os.sched_setaffinity(0, slot.cores or before)  # the child inherits it
        try:
            with log.open("ab") as file:
                process = subprocess.Popen(
                    command([*words, str(me)]),
                    env=environment(os.environ, **gpus),
                    stdin=subprocess.DEVNULL,
                    stdout=file,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
        except OSError:
            self._free.append(slot)
            raise
        finally:
            os.sched_setaffinity(0, before)
        return LocalTrial(process, log, slot)

    def release(self, running: Running) -> None:
        """Its slot is free again."""
        assert isinstance(running, LocalTrial)
        self._free.append(running.slot)

    def at_once(self) -> int:
        """As many as there are slots."""
        return self._count

    def describe(self) -> str:
        """Trials at a time, and what each has."""
        slot = self._free[0] if self._free else Slot((), ())
        gpus = f"{len(slot.gpus)} GPU" if slot.gpus else "no GPU"
        cores = f"{len(slot.cores)} cores" if slot.cores else "all cores"
        return f"{self._count} at a time on this machine, each with {gpus} and {cores}"


def make_slots(
    gpus: Sequence[str], each: int, parallel: int | None, cores: Sequence[int]
) -> list[Slot]:
    """Room for `parallel` trials with `each` GPUs.

    Raises:
        ConfigError: there are not so many GPUs.
    """
    if gpus and each > len(gpus):
        raise ConfigError(
            f"trainer.devices={each}: a trial wants {each} GPUs, here are {len(gpus)}",
            expected=f"at most {len(gpus)}",
            where="trainer.devices",
        )
    most = len(gpus) // each if gpus else None
    count = parallel or most or 1
    if most is not None and count > most:
        raise ConfigError(
            f"hydra.launcher.parallel={count}: with {each} GPUs each, {count} trials want "
            f"{count * each} GPUs, here are {len(gpus)}",
            expected=f"at most {most}: trials that share a GPU would slow each other down",
            where="hydra.launcher.parallel",
        )
    sets = [tuple(gpus[i * each : (i + 1) * each]) if gpus else () for i in range(count)]
    pinned = shares(count, cores) if cores and count > 1 else [[] for _ in range(count)]
    return [Slot(own, tuple(share)) for own, share in zip(sets, pinned)]


def find_gpus() -> list[str]:
    """GPUs that may be used, without torch: CUDA_VISIBLE_DEVICES, or else what nvidia-smi lists."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [name.strip() for name in visible.split(",") if name.strip()]
    if shutil.which("nvidia-smi") is None:
        return []
    listed = subprocess.run(
        ["nvidia-smi", "--query-gpu=index", "--format=csv,noheader"], capture_output=True, text=True
    )
    return listed.stdout.split() if listed.returncode == 0 else []


def _wants_gpu(planned: Planned) -> bool:
    return bool(planned.first["trainer"]["accelerator"] != "cpu")


def _per_trial(planned: Planned, gpus: Sequence[str], parallel: int | None) -> int:
    devices = planned.first["trainer"]["devices"]
    return max(1, len(gpus) // (parallel or 1)) if devices == "all" else int(devices)
