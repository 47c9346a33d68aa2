"""Who owns the clock?  This callback: it times, agrees with all ranks, evaluates when due, and
stops the trial.

Timed: data selection and loading, the step, prepare_for_eval and its undo.  Not timed: evaluation,
logging, checkpoints and the clock's own agreement (docs/adr/0001-clock.md).
"""

import math
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import lightning as L

from algoperf_pt.errors import IntegrityError
from algoperf_pt.heartbeat import Phase
from algoperf_pt.trial import Trial
from timing.ledger import Ledger
from timing.rules import (
    Action,
    Latches,
    Moment,
    Reason,
    Rules,
    after_evaluation,
    after_step,
    latch,
    may_evaluate,
)

_FINITE_CHECK = (
    50  # steps between looks at the loss on an accelerator, where each look waits for the device
)
_DISPLAY = 0.5  # s between refreshes of the display


class WallClockTarget(L.Callback):
    """Stops a trial at its targets or budget, all ranks at the same step.

    Args:
        now: clock of the ledger, seconds.
        raw: independent clock of the audit, seconds.
    """

    def __init__(
        self,
        now: Callable[[], float] = time.perf_counter,
        raw: Callable[[], float] = lambda: time.clock_gettime(time.CLOCK_MONOTONIC_RAW),
    ) -> None:
        self.ledger = Ledger(now, raw)
        self.latches = Latches()
        self.last_eval: float | None = None
        self.owed: str | None = None  # a put-off evaluation: why the trial ends after it, or ""
        self.elapsed = 0.0  # as agreed after the last step
        self._next_display = 0.0

    def attach(self, trial: Trial) -> None:
        """Take the trial whose time this is, with its rules."""
        self.trial = trial
        protocol = trial.config["targets"]["protocol"]
        self.rules = Rules(
            spec=trial.spec,
            max_steps=trial.config["max_steps"],
            evaluate_after_first_step=protocol["evaluate_after_first_step"],
            late_evaluation=protocol["late_evaluation"],
            stop_on=tuple(protocol["stop_on"]),
            eval_every_steps=trial.config["eval_every_steps"],
            pause_at=trial.config["pause_at"],
        )
        self._host = trial.ranks.device.type == "cpu"

    # ---- Lightning's hooks

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """The submission's clock starts here."""
        self.trial.ranks.synchronize()
        self.trial.ranks.barrier()
        self.ledger.start("data")
        if self.owed is not None:
            ending, self.owed = Reason(self.owed) if self.owed else None, None
            self._evaluate(ending)
            self.ledger.switch("data")

    def on_train_batch_start(
        self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int
    ) -> None:
        """The batch is there: from data to step."""
        self.ledger.switch("step")

    def on_train_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """After a step: agree on the time, then train on, evaluate or stop."""
        trial, ledger = self.trial, self.ledger
        moment = self._agree(self._non_finite(outputs))
        trial.beat(Phase.TRAIN, self.elapsed)
        decision = after_step(self.rules, moment)
        evaluates = decision.action is Action.EVALUATE
        if evaluates or trial.row_due or self.elapsed >= self._next_display:
            self._log(outputs)
        if evaluates:
            self._evaluate(decision.reason)
        elif decision.action is Action.STOP:
            self._put_off_evaluation(moment)
            self._stop(decision.reason)
        ledger.switch("data")

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        """Close the books and audit them."""
        self.trial.ranks.synchronize()
        self.ledger.switch("clock")
        self.audit()

    # ---- evaluation

    def _evaluate(self, ending: Reason | None) -> None:
        trial, ledger = self.trial, self.ledger
        ledger.switch("prepare_for_eval")
        trial.prepare_for_eval()
        trial.ranks.synchronize()
        trial.ranks.barrier()
        self.elapsed = self._agreed_elapsed()
        if not may_evaluate(self.rules, self.elapsed):
            self._stop(Reason.BUDGET)
            return
        ledger.switch("eval")
        trial.beat(Phase.EVAL, self.elapsed)
        metrics = trial.evaluate()
        trial.ranks.synchronize()
        trial.ranks.barrier()
        ledger.switch("clock")
        self.latches = latch(self.rules, self.latches, self.elapsed, trial.step, metrics)
        self.last_eval = self.elapsed
        self.audit()
        if any(math.isnan(value) for value in metrics.values()) and trial.parameters_not_finite():
            ending = Reason.DIVERGED
        row = self._row(metrics)
        reason = after_evaluation(self.rules, self.latches, ending)
        ledger.switch("logging")
        trial.record_evaluation(row)
        ledger.switch("prepare_for_eval")
        trial.resume_training()
        trial.ranks.synchronize()
        ledger.switch("checkpoint")
        if reason is not None:
            self._stop(reason)
        trial.save_checkpoint()
        trial.beat(Phase.TRAIN, self.elapsed)

    def _put_off_evaluation(self, moment: Moment) -> None:
        """A scheduler that signals does not wait for one that is due; the next attempt makes it."""
        on = replace(self.rules, pause_at=None)  # the next attempt has a pause of its own, or none
        due = after_step(on, replace(moment, stop_signal=0))
        if moment.stop_signal and due.action is Action.EVALUATE:
            self.owed = due.reason.value if due.reason else ""

    def _row(self, metrics: dict[str, float]) -> dict[str, float]:
        spent = self.trial.ranks.gather(self.ledger.state_dict())[0]  # rank 0's books
        return {
            **metrics,
            "global_step": self.trial.step,
            "score": self.elapsed,
            "accumulated_submission_time": self.elapsed,
            "accumulated_eval_time": spent["eval"],
            "accumulated_logging_time": spent["logging"] + spent["checkpoint"] + spent["clock"],
            "total_duration": sum(spent.values()),
            "preemption_count": self.trial.attempt,
        }

    def audit(self) -> None:
        """Parts against the independent clock.

        Raises:
            IntegrityError: more than 0.1 % (and 2 ms) of the wall time is unexplained.
        """
        if not self.ledger.adds_up():
            gap, wall = self.ledger.discrepancy()
            raise IntegrityError(
                f"the clock does not add up: {gap:.6f} s of {wall:.3f} s are in no bucket",
                expected="at most 0.1 % of the wall time",
                fix="the machine slept, or something changed the clock: run the trial again",
            )

    # ---- agreement

    def _agree(self, not_finite: bool) -> Moment:
        trial = self.trial
        mine = self.ledger.timed() if trial.ranks.is_zero else -math.inf
        if trial.ranks.world == 1:
            done, bad, stop = trial.submission.done, not_finite, trial.stop_signal
            self.elapsed = mine
        else:
            # the bucket stays open: waiting for a slower rank is that rank's work, and it is timed
            flags = [mine, trial.submission.done, not_finite, trial.stop_signal]
            self.elapsed, *agreed = trial.ranks.agree(flags)
            done, bad, stop = bool(agreed[0]), bool(agreed[1]), int(agreed[2])
        return Moment(self.elapsed, trial.step, self.last_eval, done, stop, bad)

    def _agreed_elapsed(self) -> float:
        mine = self.ledger.timed() if self.trial.ranks.is_zero else -math.inf
        return self.trial.ranks.agree([mine])[0]

    def _non_finite(self, outputs: Any) -> bool:
        loss = outputs.get("loss") if outputs else None
        if loss is None or not (self._host or self.trial.step % _FINITE_CHECK == 0):
            return False
        return not math.isfinite(loss)

    def _log(self, outputs: Any) -> None:
        self.trial.ranks.synchronize()  # reading the metrics would wait for the step: it is timed
        self.ledger.switch("logging")
        self.trial.log_step(outputs, self.elapsed)
        self._next_display = self.elapsed + _DISPLAY

    def _stop(self, reason: Reason | None) -> None:
        assert reason is not None
        self.trial.stop(reason.value)

    # ---- state

    def state_dict(self) -> dict[str, Any]:
        """Books, latches and the time of the last evaluation."""
        return {
            "ledger": self.ledger.state_dict(),
            "validation": self.latches.validation,
            "test": self.latches.test,
            "last_eval": self.last_eval,
            "owed": self.owed,
            "elapsed": self.elapsed,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over `state_dict()` of an earlier attempt, before `on_train_start`."""
        self.ledger.load_state_dict(state_dict["ledger"])
        latched = (state_dict[split] for split in ("validation", "test"))
        self.latches = Latches(*(None if at is None else (at[0], at[1]) for at in latched))
        self.last_eval, self.elapsed = state_dict["last_eval"], state_dict["elapsed"]
        self.owed = state_dict.get("owed")  # not in checkpoints of earlier versions

    def charge_lost(self, timed_when_killed: float) -> None:
        """Charge the work between the checkpoint and the kill: it is redone, and redone work is
        paid twice.
        """
        self.ledger.charge_lost(max(0.0, timed_when_killed - self.ledger.timed()))
