"""Who looks on while a submission runs?  A clock around the trial's own: it exists before the
submission's module is imported, and looks before and after every call of it.  The trial is the
ordinary one.
"""

import time
from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch

from algoperf_pt.check.findings import FAIL, WARN
from algoperf_pt.check.frames import asked_by_submission, own_line
from algoperf_pt.check.looks import Looks
from algoperf_pt.check.notes import Notes, few
from algoperf_pt.check.state import Photo, changed, memory, photograph
from algoperf_pt.check.working import Rest
from algoperf_pt.instantiate import instantiate
from algoperf_pt.trial import Trial

_CALLS = ("setup", "step", "prepare_for_eval", "resume_training")


class WatchedClock:
    """The trial's own clock, with somebody beside it.

    Args:
        inner: configuration of the trial's clock.
        out: file to which every finding is appended as a line of JSON.
        name: of the workload.
    """

    def __init__(self, inner: dict[str, Any], out: str, name: str) -> None:
        self._rest = Rest(time.sleep, time.process_time, time.perf_counter)  # still the real ones
        self._inner = instantiate(inner)
        self._notes = Notes(Path(out), name)
        self._looks = Looks(self._notes)
        self._paused: Photo | None = None
        self._values = 0  # of the submission that were compared over a pause
        self._judging = False

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._inner, name)

    # ---- the trial

    def attach(self, trial: Trial) -> None:
        """The trial is made and the submission's module is there; nothing has been called yet."""
        self._trial = trial
        data, submission, workload = trial.workload.data, trial.submission, trial.workload
        held = data.index.shards("test") if trial.spec.num_examples["test"] else []
        counts = {**trial.spec.num_examples, "test": 0}  # then nothing of the harness opens them
        trial.spec = replace(trial.spec, num_examples=MappingProxyType(counts))
        for call in _CALLS:
            setattr(submission, call, self._around(getattr(submission, call), call))
        trial.evaluate = self._evaluation(trial.evaluate)  # type: ignore[method-assign]
        trial.judge.evaluate = self._judged(trial.judge.evaluate)  # type: ignore[method-assign]
        data.build = self._built(data.build)  # type: ignore[method-assign]
        data.reader = self._asked(data.reader)  # type: ignore[method-assign]
        workload.model.register_forward_pre_hook(self._in_pass)
        workload.loss = self._lossy(workload.loss)  # type: ignore[method-assign]
        self._inner.attach(trial)
        self._looks.at_trial(trial, self._inner, held)
        self._looks.compare("after the import")

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        """The last look."""
        self._inner.on_train_end(trainer, pl_module)
        self._looks.compare("after training", thorough=True)
        for name in self._trial.hparams.unread():
            fix = f"read hparams.{name}, or take it out of hparams and space"
            self._notes.say("hyperparameters", FAIL, f"nothing reads {name!r}", fix=fix)
        for name in getattr(self._trial.submission, "dropped", ()):
            text = f"the optimizer takes no {name!r}: what sets it changes nothing"
            self._notes.say("hyperparameters", WARN, text, fix="take it out of the YAML")
        done = {"steps": self._trial.step, "evaluations": len(self._trial.evaluations)}
        counts = {"functions": self._looks.functions, "values": self._values}
        self._notes.write({"done": {**done, **counts}})

    # ---- around calls

    def _around(self, function: Callable[..., Any], call: str) -> Callable[..., Any]:
        @wraps(function)
        def watched(*arguments: Any) -> Any:
            if call == "resume_training":
                self._resumed()
            self._looks.compare("in select or between calls", generators=False)
            self._looks.start_call()
            try:
                result = function(*arguments)
            finally:
                self._looks.compare(f"after {call}")
            if call == "step":
                self._check_metrics(result)
            return result

        return watched

    def _check_metrics(self, metrics: Any) -> None:
        if metrics is not None and not isinstance(metrics, dict):
            text = f"step returned a {type(metrics).__name__}"
            fix = 'return scalars by name, as {"loss": loss}'
            self._notes.say("contract", FAIL, text, fix=fix)
        elif "loss" not in (metrics or {}):
            text = "step returned no loss: a trial that diverges would not end"
            self._notes.say("contract", WARN, text, fix='return {"loss": loss.detach()}')

    # ---- inside a step

    def _in_pass(self, module: Any, arguments: Any) -> None:
        """Before every pass of the model that is trained."""
        if torch.is_grad_enabled():
            self._looks.in_pass()

    def _lossy(self, loss: Callable[..., Any]) -> Callable[..., Any]:
        def watched(*arguments: Any, **named: Any) -> Any:
            self._looks.compare_functions("when the loss is called")
            return loss(*arguments, **named)

        return watched

    # ---- evaluations

    def _evaluation(self, evaluate: Callable[[], dict[str, float]]) -> Callable[[], Any]:
        def watched() -> dict[str, float]:
            self._paused = self._photograph()
            self._values = max(self._values, len(self._paused))
            for text in self._rest.disturbed(self._trial.ranks.device):
                fix = "stop threads, processes and queued work in prepare_for_eval"
                self._notes.say("pause", FAIL, text, fix=fix)
            return evaluate()

        return watched

    def _photograph(self) -> Photo:
        model, submission = self._trial.workload.model, self._trial.submission
        parameters, buffers = dict(model.named_parameters()), dict(model.named_buffers())
        return photograph(parameters=parameters, buffers=buffers, **memory(submission))

    def _resumed(self) -> None:
        if self._paused is None:
            return
        paths = changed(self._paused, self._photograph())
        self._paused = None
        if paths:
            text = f"{few(paths)} changed while the clock stood"
            fix = "change state in the submission's own calls alone"
            self._notes.say("pause", FAIL, text, fix=fix)

    # ---- data

    def _judged(self, evaluate: Callable[..., Any]) -> Callable[..., Any]:
        def watched(*arguments: Any) -> Any:
            self._judging = True
            try:
                return evaluate(*arguments)
            finally:
                self._judging = False

        return watched

    def _built(self, build: Callable[..., Any]) -> Callable[..., Any]:
        def watched(split: str, *arguments: Any) -> Any:
            if split != "train" and not self._judging:
                text = f"rows of the {split} split were asked for outside an evaluation"
                fix = 'workload.evaluate("validation") is the only use of validation data'
                self._notes.say("data", FAIL, text, fix=fix)
            return build(split, *arguments)

        return watched

    def _asked(self, reader: Callable[..., Any]) -> Callable[..., Any]:
        def watched(split: str) -> Any:
            if split != "train" and asked_by_submission():
                text = f"the reader of the {split} split was asked for"
                fix = "take batches from select or step"
                self._notes.say("data", FAIL, text, fix=fix, line=own_line())
            return reader(split)

        return watched
