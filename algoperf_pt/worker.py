"""One rank of a trial from start to end: train, finish, and name what happened.  Runs in the
supervised fork.
"""

import errno
import faulthandler
import os
import signal
import sys
import time
import traceback
from pathlib import Path
from typing import Any

import torch.distributed as dist

from algoperf_pt.assemble import assemble
from algoperf_pt.card.page import write_card
from algoperf_pt.errors import (
    AlgoperfError,
    ConfigError,
    DataError,
    IntegrityError,
    ResumeError,
    SubmissionError,
)
from algoperf_pt.heartbeat import Heartbeat, Phase
from algoperf_pt.loop import train
from algoperf_pt.out_of_memory import is_out_of_memory
from algoperf_pt.phases import peak_memory
from algoperf_pt.result import exit_code_of, fail, free_room, keep_room, write_result
from algoperf_pt.status import (
    EXIT_CODES,
    FINAL,
    IN_ORDER,
    TO_BE_CONTINUED,
    Status,
    stopped_by,
)
from algoperf_pt.summary import print_summary
from algoperf_pt.trial import Trial

_SUBMISSION_CALLS = (
    "setup_submission",
    "train_step",
    "prepare_for_eval",
    "resume_training",
    "_checked_batch_size",
)
_SAME_REQUEST = 1.0  # s
_LOST_PEER = ("connection closed", "connection reset", "broken pipe", "nccl", "peer", "timed out")


def run(config: dict[str, Any], folder: Path, heartbeat: Heartbeat) -> int:
    """Run this rank and return its exit code."""
    rank = int(os.environ.get("RANK", 0))
    stacks = folder / f"stacks_rank_{rank}.txt"
    trial: Trial | None = None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if rank == 0:
            keep_room(folder)
        with stacks.open("w") as file:
            faulthandler.register(signal.SIGUSR1, file=file, all_threads=True)
            trial, clock = assemble(config, folder, heartbeat)
            _stop_on_signals(trial)
            train(trial, clock)
            status = _finish(trial, clock, folder)
            faulthandler.unregister(signal.SIGUSR1)
        stacks.unlink()
        free_room(folder)
    except BaseException as error:
        return _failed(error, trial, folder, rank)
    if dist.is_initialized():
        dist.destroy_process_group()
    # a launcher of several ranks takes any other code for a crash and prints a report of it
    return (
        0
        if "RANK" in os.environ and status in IN_ORDER
        else EXIT_CODES[status]
    )


def _finish(trial: Trial, clock: Any, folder: Path) -> Status:
    """Last rows, last checkpoint, result, picture."""
    status = _status(trial, clock)
    trial.beat(Phase.END, clock.elapsed)
    times = {split: getattr(clock.latches, split) for split in ("validation", "test")}
    gap, wall = clock.ledger.discrepancy()
    ledger = trial.ranks.gather(clock.ledger.state_dict())
    phases, memory = _measured(trial)
    if status in FINAL:
        row = {"score": clock.elapsed, "global_step": trial.step, "preemption_count": trial.attempt}
        trial.records.final_row(row)
    if status in TO_BE_CONTINUED or not trial.checkpoints.has(trial.step):
        trial.save_checkpoint()
    trial.records.write_json(
        "ledger.json", {"ranks": ledger, "unexplained": gap, "wall_of_attempt": wall}
    )
    trial.records.write_json("phases.json", {"ranks": phases})
    end = {"status": status.value, "step": trial.step, "elapsed": clock.elapsed, "ledger": ledger}
    trial.records.event("end", end)
    if trial.ranks.is_zero:
        for listener in trial.listeners:
            listener.on_end(trial)
        result = _result(trial, clock, status, times, ledger[0])
        write_result(folder, result | {"memory": memory, "log_hash": trial.records.log_hash})
        print_summary(folder, silent=trial.config["display"] == "none")
        _write_card(trial, folder)
    trial.ranks.barrier()
    return status


def _write_card(trial: Trial, folder: Path) -> None:
    """A page that cannot be made changes nothing about the trial."""
    try:
        write_card(folder)
    except Exception as error:
        what = f"card.html was not written: {type(error).__name__}: {error}"
        trial.records.event("warning", {"message": what})


def _measured(trial: Trial) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """(phases of a step, peak memory) of each rank."""
    found = (trial.phases.summary(), peak_memory(trial.ranks.device))
    phases, memory = zip(*trial.ranks.gather(found))
    return list(phases), list(memory)


def _result(
    trial: Trial, clock: Any, status: Status, times: dict[str, Any], ledger: dict[str, float]
) -> dict[str, Any]:
    spec = trial.spec
    scored = trial.config["eval_every_steps"] is None and trial.config["workload"]["tier"] == "full"
    return {
        "status": status.value,
        "stop_reason": trial.stop_reason,
        "time_to_target": {split: None if at is None else at[0] for split, at in times.items()},
        "steps_to_target": {split: None if at is None else at[1] for split, at in times.items()},
        "elapsed": clock.elapsed,
        "step": trial.step,
        "budget": spec.budget,
        "metric": spec.metric,
        "targets": {"validation": spec.validation_target, "test": spec.test_target},
        "last": trial.evaluations[-1] if trial.evaluations else None,
        "ledger": ledger,
        "setup_seconds": trial.setup_seconds,
        "attempts": trial.attempt + 1,
        "ranks": trial.ranks.world,
        "comparable": scored,
    }


def _status(trial: Trial, clock: Any) -> Status:
    """The validation target alone counts for the score, whatever ended the trial."""
    if trial.stop_reason in TO_BE_CONTINUED:
        return Status(trial.stop_reason)
    if clock.latches.validation is not None:
        return Status.REACHED
    return Status(trial.stop_reason)


def _stop_on_signals(trial: Trial) -> None:
    """The first signal ends the trial at the next step, with a checkpoint; the second at once.

    A cluster signals each process of a trial, and the first passes it on: what comes within a
    second is the same request.
    """
    asked_at = 0.0

    def stop(number: int, _: object) -> None:
        nonlocal asked_at
        if trial.stop_signal and time.monotonic() - asked_at > _SAME_REQUEST:
            raise KeyboardInterrupt
        trial.stop_signal, asked_at = trial.stop_signal or number, asked_at or time.monotonic()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)


def _failed(error: BaseException, trial: Trial | None, folder: Path, rank: int) -> int:
    # torch's handler raises for each loader worker that dies, also while the end is being recorded
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    status = _classify(error, trial)
    if isinstance(error, AlgoperfError):
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
    elif isinstance(error, KeyboardInterrupt):
        print("stopped at once: the last checkpoint is where it goes on", file=sys.stderr)
    else:
        traceback.print_exception(error)
    message = f"{type(error).__name__}: {error}"
    if status is Status.DISK_FULL:  # torch's words for it name no file
        message = f"no space is left for {folder}: make room and repeat the command ({message})"
        print(message, file=sys.stderr)
    print(f"status: {status.value}", file=sys.stderr, flush=True)
    free_room(folder)
    try:
        log_hash = trial.records.log_hash if trial is not None and trial.ranks.is_zero else ""
        fail(folder, status, message, rank, log_hash)
        if trial is not None:
            what = {"status": status.value, "message": message, "rank": rank}
            trial.records.event("failed", what)
            if trial.ranks.is_zero:
                _write_card(trial, folder)
    except OSError as second:
        print(f"the status cannot be written: {second}", file=sys.stderr, flush=True)
    return exit_code_of(folder, status)


def _classify(error: BaseException, trial: Trial | None) -> Status:
    by_class = {
        DataError: Status.DATA_ERROR,
        SubmissionError: Status.SUBMISSION_ERROR,
        IntegrityError: Status.INTEGRITY,
        ConfigError: Status.CONFIG_ERROR,
        ResumeError: Status.CONFIG_ERROR,
        KeyboardInterrupt: stopped_by(0 if trial is None else trial.stop_signal),
    }
    for kind, status in by_class.items():
        if isinstance(error, kind):
            return status
    if _disk_is_full(error):
        return Status.DISK_FULL
    text = str(error).lower()
    if "dataloader worker" in text:  # torch raises this wherever the program happens to be
        return Status.DATA_ERROR
    if is_out_of_memory(error):
        in_eval = trial is not None and trial.phase is Phase.EVAL
        return Status.OOM_EVAL if in_eval else Status.OOM_TRAIN
    if (
        dist.is_initialized()
        and isinstance(error, RuntimeError)
        and any(word in text for word in _LOST_PEER)
    ):
        return Status.RANK_LOST
    frames = {frame.name for frame in traceback.extract_tb(error.__traceback__)}
    return Status.SUBMISSION_ERROR if frames & set(_SUBMISSION_CALLS) else Status.ERROR


def _disk_is_full(error: BaseException | None) -> bool:
    """torch.save wraps the system's error in one of its own."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            return True
        error = error.__cause__ or error.__context__
    return False
