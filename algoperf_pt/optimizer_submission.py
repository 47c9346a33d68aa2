"""The submission that needs no code: an optimizer with its schedule, and parts that YAML composes.

Subclass it where an algorithm does something else with gradients; `optimizers` has examples.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from algoperf_pt.hparams import Hparams
from algoperf_pt.instantiate import instantiate
from algoperf_pt.spec import WorkloadSpec
from algoperf_pt.submission import Metrics, Submission
from algoperf_pt.updates import make_updates
from algoperf_pt.view import WorkloadView
from algoperf_pt.workload_data import Batch


class OptimizerSubmission(Submission):
    """Any torch.optim.Optimizer by its dotted path.

    Args:
        optimizer, schedule, groups, others, given: see `algoperf_pt.updates.make_updates`.
        batch_size: global, examples; None: the workload's baseline.
        batch_sizes: workload -> batch size, where it is another one; a variant without an entry has
            that of its workload.
        grad_clip: largest global 2-norm of the gradient; None: no clipping.
        label_smoothing: passed to the loss.
        dropout_rate: passed to every forward pass; None: the workload's; {"_target_": ...}: a class
            whose instances map a step to a rate.
        average: {"_target_": ...} of a class as in optimizers/averaging.py: its weights are judged
            in place of the trained ones.
        stop_factor: share of the step hint after which the trial ends; None: it goes on.
    """

    def __init__(
        self,
        optimizer: dict[str, Any],
        schedule: dict[str, Any] | None = None,
        batch_size: int | None = None,
        grad_clip: float | None = None,
        label_smoothing: float | None = 0.0,
        dropout_rate: float | dict[str, Any] | None = None,
        given: tuple[str, ...] = (),
        groups: Sequence[Mapping[str, Any]] = (),
        others: Sequence[Mapping[str, Any]] = (),
        batch_sizes: Mapping[str, int] | None = None,
        average: dict[str, Any] | None = None,
        stop_factor: float | None = None,
    ) -> None:
        self._optimizer, self._schedule, self._given = optimizer, schedule, tuple(given)
        self._groups, self._others = groups, others
        self._batch_size, self._batch_sizes = batch_size, dict(batch_sizes or {})
        self._grad_clip, self._stop_factor = grad_clip, stop_factor
        self._label_smoothing = label_smoothing or 0.0
        self._dropout_rate, self._average = dropout_rate, average
        self.dropped: tuple[str, ...] = ()

    def batch_size(self, spec: WorkloadSpec) -> int:
        if self._batch_size is not None:
            return self._batch_size
        known = [self._batch_sizes[name] for name in spec.known_as if name in self._batch_sizes]
        return known[0] if known else spec.baseline_batch_size

    def setup(self, workload: WorkloadView, hparams: Hparams) -> None:  # type: ignore[override]
        parts = (self._groups, self._others, self._given)
        self.updates = make_updates(workload, self._optimizer, self._schedule, *parts)
        self.optimizer = self.updates[0].optimizer
        self.dropped = self.updates[0].dropped
        self.parameters: list[Tensor] = list(workload.parameters())
        hint = {"step_hint": workload.spec.step_hint}
        self.average = instantiate(self._average, **hint) if self._average else None
        self._dropout = self._dropout_rate
        if isinstance(self._dropout_rate, dict):
            self._dropout = instantiate(self._dropout_rate, **hint)
        self._last_step = int((self._stop_factor or 0) * workload.spec.step_hint)
        self._judged: list[Tensor] | None = None

    def step(self, workload: WorkloadView, batch: Batch) -> Metrics:
        for update in self.updates:
            update.set_learning_rate(workload.step)
        metrics = self.update(workload, batch)
        if self.average is not None:
            self.average.update(self.parameters, workload.step)
        if self._stop_factor is not None and workload.step + 1 >= self._last_step:
            self.done = True
        return {**metrics, "lr": self.optimizer.param_groups[0]["lr"]}

    def update(self, workload: WorkloadView, batch: Batch) -> Metrics:
        """One step of all optimizers; learning rates are set.  Override it for another use of
        gradients.
        """
        if self.updates[0].needs_closure:
            closed: Any = self.optimizer.step
            first = closed(lambda: self.gradient(workload, batch)[0])
            for update in self.updates[1:]:
                update.optimizer.step()
            return {"loss": first.detach()}
        loss, norm = self.gradient(workload, batch)
        for update in self.updates:
            update.optimizer.step()
        return {"loss": loss.detach()} | ({} if norm is None else {"grad_norm": norm})

    def gradient(
        self,
        workload: WorkloadView,
        batch: Batch,
        update_batch_norm: bool = True,
        clip: bool = True,
    ) -> tuple[Tensor, Tensor | None]:
        """Put the gradient of the mean loss into `.grad`, clipped as the YAML says (or not).

        Returns:
            the loss [], and the gradient's global 2-norm [] if this step's metrics are written.
        """
        for parameter in self.parameters:
            parameter.grad = None
        rate = self.dropout_rate(workload.step)
        logits = workload.forward(batch, rate, update_batch_norm)
        loss = workload.mean_loss(workload.loss(batch, logits, self._label_smoothing))
        workload.backward(loss)
        if clip and self._grad_clip is not None:
            torch.nn.utils.clip_grad_norm_(self.parameters, self._grad_clip)
        if not workload.wants_metrics:
            return loss, None
        norms = torch._foreach_norm([p.grad for p in self.parameters if p.grad is not None])
        return loss, torch.linalg.vector_norm(torch.stack(norms))

    def dropout_rate(self, step: int) -> float | None:
        """That of a step (0-based); None: the workload's own."""
        rate = self._dropout
        return rate(step) if callable(rate) else rate  # type: ignore[return-value]

    @torch.no_grad()
    def prepare_for_eval(self, workload: WorkloadView) -> None:
        averaged = None if self.average is None else self.average.averaged()
        if averaged is not None:
            self._judged = [p.detach().clone() for p in self.parameters]
            torch._foreach_copy_(self.parameters, averaged)

    @torch.no_grad()
    def resume_training(self, workload: WorkloadView) -> None:
        if self._judged is not None:
            torch._foreach_copy_(self.parameters, self._judged)
            self._judged = None

    def state_dict(self) -> dict[str, Any]:
        state: dict[str, Any] = {"optimizer": self.optimizer.state_dict()}
        if len(self.updates) > 1:
            state["others"] = [update.optimizer.state_dict() for update in self.updates[1:]]
        if self.average is not None:
            state["average"] = self.average.state_dict()
        return state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.optimizer.load_state_dict(state_dict["optimizer"])
        for update, state in zip(self.updates[1:], state_dict.get("others", ()), strict=True):
            update.optimizer.load_state_dict(state)
        if self.average is not None:
            self.average.load_state_dict(state_dict["average"])
