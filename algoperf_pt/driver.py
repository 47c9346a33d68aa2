"""Who starts what?  One device: a fork of this process.  Several: fresh workers.  Under torchrun or
SLURM: I am a rank.
"""

import dataclasses
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from algoperf_pt.config import config_hash, differences, stable_part, trial_folder
from algoperf_pt.cores import usable_cores
from algoperf_pt.errors import ConfigError, ResumeError
from algoperf_pt.heartbeat import Heartbeat
from algoperf_pt.orphans import die_with
from algoperf_pt.records import write_atomically
from algoperf_pt.result import exit_code_of, fail, is_final, read_result, set_aside
from algoperf_pt.slurm import adopt_slurm
from algoperf_pt.status import EXIT_CODES, Status, stopped_by
from algoperf_pt.supervise import Limits, supervise

CONFIG = "config.json"
LOCK = ".lock"  # of the first process of a trial
RANKS_LOCK = ".lock_of_ranks"  # of rank 0 of several: it may outlive the first process a little
RANK_VARIABLES = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT", "GROUP_RANK")


def run_here(config: dict[str, Any]) -> int:
    """Run a trial with its ranks and return the exit code of its status."""
    adopt_slurm(os.environ)
    folder = trial_folder(config)
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    if "RANK" in os.environ:
        return _run_under_launcher(config, folder, int(os.environ["RANK"]))
    with _locked(folder):
        finished = open_folder(config, folder)
        if finished is not None:
            return finished
        one = config["trainer"]["devices"] == "1"
        code = run_rank(config, folder, 0) if one else _launch(config, folder)
    if missing and _never_began(folder):
        _remove(missing)
    return code


def _remove(made: list[Path]) -> None:
    """A wrong configuration leaves no folder behind: the trial's, and those around it as far as
    they were made for it and hold nothing else.
    """
    shutil.rmtree(made[0])
    for path in made[1:]:
        try:
            path.rmdir()
        except OSError:
            return  # another trial has begun there


def _never_began(folder: Path) -> bool:
    """Whether the trial was refused for its configuration before it was assembled."""
    result = read_result(folder)
    refused = result is not None and result["status"] == Status.CONFIG_ERROR.value
    return refused and not list(folder.glob("flags_*.json"))


def _run_under_launcher(config: dict[str, Any], folder: Path, rank: int) -> int:
    """torchrun or SLURM started this rank.  0 for a trial that is over: other codes would look like
    a crash to it.
    """
    if is_final(read_result(folder)):
        if rank == 0:
            open_folder(config, folder)
        return 0
    if rank != 0:
        return run_rank(config, folder, rank)
    with _locked(folder):
        open_folder(config, folder)
        return run_rank(config, folder, rank)


def run_rank(config: dict[str, Any], folder: Path, rank: int) -> int:
    """One rank, in a supervised fork; the folder is open."""

    def trial(heartbeat: Heartbeat) -> int:
        from algoperf_pt.worker import run  # torch is imported here, in the fork

        return run(config, folder, heartbeat)

    names = [field.name for field in dataclasses.fields(Limits)]
    limits = Limits(**{name: config["trainer"][name] for name in names})
    return supervise(trial, folder, rank, limits)


def open_folder(config: dict[str, Any], folder: Path) -> int | None:
    """Make or re-open the trial folder; the exit code if the trial is already over.

    Raises:
        ResumeError: the folder holds a trial with another configuration.
    """
    _make(folder)
    refuse_change(config, folder)
    result = read_result(folder)
    if is_final(result):
        from algoperf_pt.summary import print_summary

        print(f"This trial is over; its folder is {folder}")
        print_summary(folder)
        return exit_code_of(folder, Status.ERROR)
    if result is not None:
        set_aside(folder, len(list(folder.glob("flags_*.json"))) - 1)
    write_atomically(folder / CONFIG, json.dumps(config, indent=2) + "\n")
    return None


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / ".writable").touch()
        (folder / ".writable").unlink()
    except OSError as error:
        raise ConfigError(
            f"experiment_dir: cannot write to {folder}: {error.strerror}",
            expected="a folder that can be made and written",
            where="experiment_dir",
            fix="experiment_dir=FOLDER, or set ALGOPERF_EXPERIMENTS",
        ) from error


def refuse_change(config: dict[str, Any], folder: Path) -> None:
    """Raise a ResumeError with the difference if the folder holds a trial with another
    configuration.
    """
    written = folder / CONFIG
    if not written.exists() or _never_began(folder):
        return
    before = json.loads(written.read_text())
    if config_hash(before) == config_hash(config):
        return
    changed = differences(stable_part(before), stable_part(config))
    shown = "; ".join(f"{k}: {old!r} -> {new!r}" for k, (old, new) in list(changed.items())[:5])
    raise ResumeError(
        f"{folder} holds a trial with another configuration ({len(changed)} keys differ: {shown})",
        expected="the same configuration as at the start",
        fix="repeat the first command to go on, or choose another trial, study or experiment_dir",
    )


def is_running(folder: Path) -> bool:
    """Whether some process holds a lock of the trial."""
    return any(_is_held(folder / name) for name in (LOCK, RANKS_LOCK))


def _is_held(path: Path) -> bool:
    try:
        with path.open("r+") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


@contextmanager
def ranks_locked(folder: Path) -> Iterator[None]:
    """Held by rank 0 and its fork: ranks whose launcher was killed save and end, and until then no
    other command may start on their folder.
    """
    with (folder / RANKS_LOCK).open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Two trials on one folder would mix their rows."""
    _make(folder)
    with (folder / LOCK).open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_held(folder / RANKS_LOCK):
                raise BlockingIOError
        except BlockingIOError:
            raise ConfigError(
                f"another process is running the trial in {folder}",
                fix="wait for it, or choose another trial=N or experiment_dir",
            ) from None
        yield


def _launch(config: dict[str, Any], folder: Path) -> int:
    """Fresh workers on this machine by torch.distributed.run, in a session of their own."""
    devices = config["trainer"]["devices"]
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--max-restarts=0"]
    command += [
        f"--nproc-per-node={'gpu' if devices == 'all' else devices}",
        "-m",
        "algoperf_pt.rank",
        str(folder),
    ]
    environment = {k: v for k, v in os.environ.items() if k not in RANK_VARIABLES}
    environment.setdefault("OMP_NUM_THREADS", str(max(1, usable_cores() // _count(devices))))
    me = os.getpid()
    process = subprocess.Popen(
        command,
        env=environment,
        start_new_session=True,
        preexec_fn=lambda: die_with(me, signal.SIGTERM),  # there are no threads in this process
    )
    asked: list[int] = []

    def pass_on(number: int, _: object) -> None:
        asked.append(number)
        process.send_signal(number)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, pass_on)
    code = process.wait()
    if read_result(folder) is None:
        _say_for_the_ranks(folder, code, asked)
    if read_result(folder) is None:
        return code or EXIT_CODES[Status.ERROR]
    return exit_code_of(folder, Status.RANK_LOST)


def _say_for_the_ranks(folder: Path, code: int, asked: list[int]) -> None:
    """What became of ranks that were stopped or whose launcher was killed before they could say."""
    if asked:
        fail(folder, stopped_by(asked[0]), "stopped before it had begun to train", 0)
    elif code < 0:
        what = f"the launcher of the ranks was killed by {signal.Signals(-code).name}"
        fail(folder, Status.RANK_LOST, what, 0)


def _count(devices: str) -> int:
    return int(devices) if devices.isdigit() else 1
