"""When is an evaluation due, and when does a trial stop?  Pure functions of (rules, moment),
without a clock or torch.

Source: the benchmark's protocol (AlgoPerf rules, section on timing and stopping); the version's odd
ones are data.
"""

from dataclasses import dataclass, replace
from enum import Enum

from algoperf_pt.spec import WorkloadSpec
from algoperf_pt.status import stopped_by


class Action(Enum):
    """What to do after a step."""

    TRAIN = "train"
    EVALUATE = "evaluate"
    STOP = "stop"


class Reason(str, Enum):
    """Why a trial stopped."""

    TARGETS = "targets_reached"
    BUDGET = "budget"
    STEP_LIMIT = "step_limit"
    DONE = "submission_done"
    USER = "user_stop"
    TERMINATED = "terminated"
    PAUSED = "paused"
    DIVERGED = "diverged"


@dataclass(frozen=True)
class Rules:
    """The numbers that decide.  Seconds of the timed clock; steps."""

    spec: WorkloadSpec
    max_steps: int | None = None
    evaluate_after_first_step: bool = True
    late_evaluation: bool = (
        False  # v0.5: a due evaluation still ran when the budget had just been exceeded
    )
    stop_on: tuple[str, ...] = ("validation", "test")
    eval_every_steps: int | None = None  # unscored: by steps instead of by time
    pause_at: float | None = None  # end there for now: the trial will be continued


@dataclass(frozen=True)
class Moment:
    """What all ranks agreed on after a step.  Seconds of the timed clock."""

    elapsed: float
    step: int  # steps done
    last_eval: float | None  # `elapsed` at the last evaluation; None: none yet
    submission_done: bool = False
    stop_signal: int = 0  # number of the signal that asks the trial to stop; 0: none
    diverged: bool = False


@dataclass(frozen=True)
class Decision:
    """What to do, and, if the trial ends after it, why."""

    action: Action
    reason: Reason | None = None


@dataclass(frozen=True)
class Latches:
    """Targets once reached stay reached; each may be reached at another evaluation.  (seconds,
    step) of the first.
    """

    validation: tuple[float, int] | None = None
    test: tuple[float, int] | None = None


def after_step(rules: Rules, moment: Moment) -> Decision:
    """Train on, evaluate, or stop.  The budget is tested at every step; there is no evaluation
    after it.  A pause leaves out no evaluation that is due.
    """
    if moment.stop_signal:
        return Decision(Action.STOP, Reason(stopped_by(moment.stop_signal).value))
    if moment.diverged:
        return Decision(Action.STOP, Reason.DIVERGED)
    ending = _ending(rules, moment)
    due = ending is not None or _due(rules, moment)
    if moment.elapsed >= rules.spec.budget:
        late = due and rules.late_evaluation
        return Decision(Action.EVALUATE if late else Action.STOP, Reason.BUDGET)
    if ending is None and _paused(rules, moment):
        return Decision(Action.EVALUATE if due else Action.STOP, Reason.PAUSED)
    return Decision(Action.EVALUATE if due else Action.TRAIN, ending)


def may_evaluate(rules: Rules, elapsed: float) -> bool:
    """After prepare_for_eval, which is timed: is there still time to be evaluated?"""
    return rules.late_evaluation or elapsed < rules.spec.budget


def latch(
    rules: Rules, latches: Latches, elapsed: float, step: int, metrics: dict[str, float]
) -> Latches:
    """The latches after an evaluation that gave `metrics` ("validation/accuracy": ...)."""
    spec = rules.spec
    for split, target in (("validation", spec.validation_target), ("test", spec.test_target)):
        value = metrics.get(f"{split}/{spec.metric}")
        reached = target is None or (value is not None and spec.reached(value, target))
        if reached and getattr(latches, split) is None:
            latches = replace(latches, **{split: (elapsed, step)})
    return latches


def after_evaluation(rules: Rules, latches: Latches, ending: Reason | None) -> Reason | None:
    """Why to stop after an evaluation, or None.  `ending`: the reason that the decision before it
    carried.
    """
    if all(getattr(latches, split) is not None for split in rules.stop_on):
        return Reason.TARGETS
    return ending


def _ending(rules: Rules, moment: Moment) -> Reason | None:
    if moment.submission_done:
        return Reason.DONE
    if rules.max_steps is not None and moment.step >= rules.max_steps:
        return Reason.STEP_LIMIT
    return None


def _paused(rules: Rules, moment: Moment) -> bool:
    return rules.pause_at is not None and moment.elapsed >= rules.pause_at


def _due(rules: Rules, moment: Moment) -> bool:
    if rules.eval_every_steps is not None:
        return moment.step % rules.eval_every_steps == 0
    if moment.last_eval is None:
        if rules.evaluate_after_first_step:
            return True
        return moment.elapsed >= rules.spec.eval_period
    return moment.elapsed - moment.last_eval >= rules.spec.eval_period
