"""What does the card say in words?"""

from typing import Any

from algoperf_pt.status import Status
from algoperf_pt.watch.view import View, figure, used_words

LEDGER = (
    "Timed: data, step, prepare_for_eval, and lost (work redone after a kill). Not timed: eval, "
    "checkpoint, logging, clock. All attempts together."
)
UNSEEN = (
    "No step was looked at: one in 32 is, unless its metrics are written, as those of the first "
    "steps are (logger.first)."
)
_ENDS = {
    Status.REACHED: "the validation target was reached",
    Status.BUDGET: "the time budget ended before the validation target was reached",
    Status.STEP_LIMIT: "max_steps came before the validation target was reached",
    Status.DONE: "the submission ended the trial without the validation target",
    Status.DIVERGED: "the loss or the parameters are not finite",
    Status.OOM_TRAIN: "a step needed more memory than there is",
    Status.OOM_EVAL: "the evaluation needed more memory than there is",
    Status.HUNG: "no step came for too long",
    Status.RANK_LOST: "a process was killed, or lost its peers",
    Status.DATA_ERROR: "the data are missing, short or corrupt, or a loader worker died",
    Status.SUBMISSION_ERROR: "the submission raised, or broke its contract",
    Status.INTEGRITY: "parameters, ranks or clock are not what they must be",
    Status.DISK_FULL: "the disk of the folder is full",
    Status.PAUSED: "paused at pause_at; the same command goes on",
    Status.USER_STOP: "stopped by Ctrl-C; the same command goes on",
    Status.TERMINATED: "stopped by SIGTERM; the same command goes on",
    Status.CONFIG_ERROR: "the configuration was refused",
    Status.ERROR: "a fault of the harness",
}


def ending(view: View, result: dict[str, Any]) -> str:
    """How it ended and why, best value, target and time used."""
    state = view.state
    words = f"{state.value}: {_ENDS[state]}" if isinstance(state, Status) else str(state.value)
    parts = [words]
    if view.message:
        parts.append(view.message)
    if view.reached_at is not None:
        parts.append(f"reached after {view.reached_at:.6g} timed s")
    if view.best is not None:
        target = f", target {figure(view.facts.target, 6)}" if view.facts.target else ""
        parts.append(f"best validation {view.metric} {figure(view.best.validation, 6)}{target}")
    parts.append(f"time used {used_words(view)}")
    if result.get("comparable") is False:
        parts.append("not comparable: a development or tiny workload, or evaluations by steps")
    return ". ".join(parts) + "."


def sampled(steps: Any, every: Any, clock: Any) -> str:
    """How the parts of a step were measured."""
    return (
        f"Medians of {steps} steps of the last attempt, one in {every} ({clock}); data is the mean "
        "wait of a step, from the ledger. Loss: between a forward and a backward pass. Update: "
        "everything else of a step. Passes that a submission does not make through its view count "
        "where they happen."
    )


def communication(ranks: Any) -> str:
    """What can be said of it."""
    if ranks == 1:
        return "Communication: none, there is one rank."
    return (
        "Communication is not shown: gradients are averaged while the backward pass runs, and it "
        "cannot be told apart from it; counts of valid examples are added in the loss."
    )
