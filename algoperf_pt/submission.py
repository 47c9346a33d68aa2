"""What is free in a trial?  Everything an algorithm designer may change.  Nine of ten need only
YAML (OptimizerSubmission).
"""

import inspect
from collections.abc import Iterator
from typing import Any

import lightning as L
import torch
from torch import Tensor

from algoperf_pt.errors import SubmissionError
from algoperf_pt.hparams import Hparams
from algoperf_pt.instantiate import import_object, instantiate
from algoperf_pt.spec import WorkloadSpec
from algoperf_pt.view import WorkloadView
from algoperf_pt.workload_data import Batch

Metrics = dict[str, Any]


class Submission(L.Callback):
    """Subclass this to write a training algorithm.  Every method but `step` has a default.

    Order of calls: `batch_size`, `setup` (untimed, bounded), then per step `next` on what `select`
    returned and `step` (timed); around an evaluation `prepare_for_eval` and `resume_training`
    (timed).
    """

    done = False  # set it to True in `step` to end the trial after a last evaluation

    def batch_size(self, spec: WorkloadSpec) -> int:
        """Global training batch size, examples."""
        return spec.baseline_batch_size

    def setup(self, workload: WorkloadView, hparams: Hparams) -> None:  # type: ignore[override]
        """Build the optimizer state.  Not timed, but bounded and recorded; training here is against
        the rules.
        """

    def select(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        """Data selection: an iterator in, an iterator out (echoing, curricula, importance
        sampling).

        The incoming stream continues after a resume where it was.  What the returned iterator
        remembers beyond it belongs into `state_dict`, updated before the `yield`.
        """
        return batches

    def step(self, workload: WorkloadView, batch: Batch) -> Metrics:
        """One update: any number of forward and backward passes.

        Returns:
            scalars to write, such as {"loss": ...} (tensors stay on the device).  A non-finite
            "loss" ends the trial.
        """
        raise NotImplementedError(f"{type(self).__name__} must define step(workload, batch)")

    def prepare_for_eval(self, workload: WorkloadView) -> None:
        """Put the parameters to be judged into the model (averages, schedule-free).  Timed."""

    def resume_training(self, workload: WorkloadView) -> None:
        """Undo `prepare_for_eval` exactly; without it training goes on with the judged parameters.
        Timed.
        """

    def state_dict(self) -> dict[str, Any]:
        """All state beyond the model's, equal on all ranks: tensors and plain Python
        values only."""
        return {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over `state_dict()` of an earlier attempt; called after `setup`."""

    def rank_state_dict(self) -> dict[str, Any]:
        """State that differs between ranks (shared-out preconditioners, say); saved for
        each rank."""
        return {}

    def load_rank_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over this rank's `rank_state_dict()`."""


class OptimizerSubmission(Submission):
    """Any torch.optim.Optimizer with a schedule, clipping, label smoothing and dropout, composed in
    YAML.

    Args:
        optimizer: {"_target_": dotted path, **keyword arguments}.
        schedule: {"_target_": ..., ...} of a class whose instances map a step to a factor on the
            learning rate; it also gets `step_hint`.  None: constant.
        batch_size: global; None: the workload's baseline.
        grad_clip: largest global 2-norm of the gradient; None: no clipping.
        label_smoothing, dropout_rate: passed to the loss and to every forward pass.
        given: keyword arguments of the optimizer that the user typed; the others are dropped, with
            a note, if the class does not take them.
    """

    def __init__(
        self,
        optimizer: dict[str, Any],
        schedule: dict[str, Any] | None = None,
        batch_size: int | None = None,
        grad_clip: float | None = None,
        label_smoothing: float | None = 0.0,
        dropout_rate: float | None = None,
        given: tuple[str, ...] = (),
    ) -> None:
        self._optimizer, self._schedule, self._given = optimizer, schedule, tuple(given)
        self._batch_size, self._grad_clip = batch_size, grad_clip
        self._label_smoothing = label_smoothing or 0.0
        self._dropout_rate = dropout_rate
        self.dropped: tuple[str, ...] = ()

    def batch_size(self, spec: WorkloadSpec) -> int:
        return spec.baseline_batch_size if self._batch_size is None else self._batch_size

    def setup(self, workload: WorkloadView, hparams: Hparams) -> None:  # type: ignore[override]
        self.optimizer = self._build_optimizer(workload)
        hint = {"step_hint": workload.spec.step_hint}
        self.schedule = instantiate(self._schedule, **hint) if self._schedule else None
        self._peaks = [float(group["lr"]) for group in self.optimizer.param_groups]
        self._parameters = [p for group in self.optimizer.param_groups for p in group["params"]]
        closure = inspect.signature(self.optimizer.step).parameters.get("closure")
        self._needs_closure = closure is not None and closure.default is inspect.Parameter.empty

    def step(self, workload: WorkloadView, batch: Batch) -> Metrics:
        self._set_learning_rate(workload.step)
        if self._needs_closure:
            update: Any = self.optimizer.step
            first = update(lambda: self._gradient(workload, batch)[0])
            return {"loss": first.detach(), "lr": self.optimizer.param_groups[0]["lr"]}
        loss, norm = self._gradient(workload, batch)
        self.optimizer.step()
        metrics: Metrics = {"loss": loss.detach(), "lr": self.optimizer.param_groups[0]["lr"]}
        return metrics if norm is None else {**metrics, "grad_norm": norm}

    def state_dict(self) -> dict[str, Any]:
        return {"optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.optimizer.load_state_dict(state_dict["optimizer"])

    def _gradient(self, workload: WorkloadView, batch: Batch) -> tuple[Tensor, Tensor | None]:
        self.optimizer.zero_grad()
        logits = workload.forward(batch, dropout_rate=self._dropout_rate)
        loss = workload.mean_loss(workload.loss(batch, logits, self._label_smoothing))
        workload.backward(loss)
        if self._grad_clip is not None:
            torch.nn.utils.clip_grad_norm_(self._parameters, self._grad_clip)
        if not workload.wants_metrics:
            return loss, None
        norms = torch._foreach_norm([p.grad for p in self._parameters if p.grad is not None])
        return loss, torch.linalg.vector_norm(torch.stack(norms))

    def _set_learning_rate(self, step: int) -> None:
        if self.schedule is None:
            return
        factor = self.schedule(step)
        for group, peak in zip(self.optimizer.param_groups, self._peaks):
            group["lr"] = peak * factor

    def _build_optimizer(self, workload: WorkloadView) -> torch.optim.Optimizer:
        kwargs = {key: value for key, value in self._optimizer.items() if key != "_target_"}
        kind = import_object(self._optimizer["_target_"], "submission.optimizer._target_")
        if not (isinstance(kind, type) and issubclass(kind, torch.optim.Optimizer)):
            raise SubmissionError(
                f"submission.optimizer._target_={self._optimizer['_target_']} is no optimizer",
                expected="a subclass of torch.optim.Optimizer",
                where="submission.optimizer._target_",
            )
        accepted = inspect.signature(kind).parameters
        if not any(p.kind is inspect.Parameter.VAR_KEYWORD for p in accepted.values()):
            unknown = [key for key in kwargs if key not in accepted]
            self._refuse([key for key in unknown if key in self._given], accepted)
            self.dropped = tuple(unknown)
            kwargs = {key: value for key, value in kwargs.items() if key in accepted}
        return kind(list(workload.parameters()), **kwargs)

    def _refuse(self, keys: list[str], accepted: Any) -> None:
        if keys:
            raise SubmissionError(
                f"{self._optimizer['_target_']} takes no argument {keys[0]!r}",
                expected=f"one of {', '.join(accepted)}",
                where=f"submission.optimizer.{keys[0]}",
                fix="leave it out, or name an argument of the class",
            )
