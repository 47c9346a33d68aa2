"""How did a trial end?  One word, the same on every rank, and the exit code that tells it."""

import signal
from enum import Enum


class Status(str, Enum):
    """The end of a trial; the value stands in result.json."""

    REACHED = "reached"  # the validation target was reached within the budget
    BUDGET = "budget"  # the time budget ended first
    STEP_LIMIT = "step_limit"  # max_steps was reached first
    DONE = "submission_done"  # the submission said that it is done, without the target
    DIVERGED = "diverged"  # non-finite loss or parameters
    OOM_TRAIN = "out_of_memory_train"
    OOM_EVAL = "out_of_memory_eval"
    HUNG = "hung"  # no progress for longer than trainer.hang_timeout
    RANK_LOST = "rank_lost"  # a process was killed or lost its peers
    DATA_ERROR = "data_error"
    SUBMISSION_ERROR = "submission_error"  # the submission raised, or broke its contract
    INTEGRITY = "integrity_error"  # something that the harness owns was changed, or does not add up
    DISK_FULL = "disk_full"  # the experiment folder has no room left
    PAUSED = "paused"  # at pause_at, to be continued; a checkpoint was written
    USER_STOP = "user_stop"  # Ctrl-C; a checkpoint was written
    TERMINATED = "terminated"  # SIGTERM, as schedulers send it; a checkpoint was written
    CONFIG_ERROR = "config_error"  # nothing was started
    ERROR = "error"  # a fault of the harness itself


EXIT_CODES: dict[Status, int] = {
    Status.REACHED: 0,
    Status.ERROR: 1,
    Status.CONFIG_ERROR: 2,
    Status.BUDGET: 10,
    Status.STEP_LIMIT: 11,
    Status.DONE: 12,
    Status.DIVERGED: 13,
    Status.PAUSED: 14,
    Status.OOM_TRAIN: 20,
    Status.OOM_EVAL: 21,
    Status.HUNG: 22,
    Status.RANK_LOST: 23,
    Status.DATA_ERROR: 24,
    Status.SUBMISSION_ERROR: 25,
    Status.INTEGRITY: 26,
    Status.DISK_FULL: 27,
    Status.USER_STOP: 130,  # 128 + SIGINT, as shells count
    Status.TERMINATED: 143,  # 128 + SIGTERM
}

# Trials with these statuses are over: the same command shows their result instead of training on.
FINAL = frozenset({Status.REACHED, Status.BUDGET, Status.STEP_LIMIT, Status.DONE, Status.DIVERGED})

# Trials that stopped in order and can be continued: a checkpoint was written.
STOPPED = frozenset({Status.USER_STOP, Status.TERMINATED})
TO_BE_CONTINUED = STOPPED | {Status.PAUSED}

# Trials that ended where they were to: at their end, or at a given time.
AS_ASKED = FINAL | {Status.PAUSED}

IN_ORDER = FINAL | TO_BE_CONTINUED


def stopped_by(number: int) -> Status:
    """The status of a trial that a signal has stopped."""
    return Status.TERMINATED if number == signal.SIGTERM else Status.USER_STOP
