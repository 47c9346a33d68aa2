"""Which running statistics belong to parameters that are judged at x and trained at y?  And when
does the self-tuning entry of AlgoPerf start over?

Batch norm: an extra forward pass at x, without gradients, updates the statistics in some steps; the
training pass at y then never does.  A model without running statistics gets no extra pass.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from algoperf_pt.hparams import Hparams
from algoperf_pt.optimizer_submission import OptimizerSubmission
from algoperf_pt.submission import Metrics
from algoperf_pt.view import WorkloadView
from algoperf_pt.workload_data import Batch


class ScheduleFreeSubmission(OptimizerSubmission):
    """A schedule-free rule, with batch-norm statistics of its x.

    Args:
        optimizer: a rule whose parameters hold x between steps and whose `step` needs a closure.
        statistics: {"every": n, "at": [...]}: the extra pass in steps k with k mod n among these;
            None: none, and the statistics follow the training passes at y.
        settings: the other arguments of `OptimizerSubmission`.
    """

    def __init__(
        self,
        optimizer: dict[str, Any],
        statistics: Mapping[str, Any] | None = None,
        **settings: Any,
    ) -> None:
        super().__init__(optimizer, **settings)
        self._every = int(statistics["every"]) if statistics else 1
        self._residues: Sequence[int] = tuple(statistics["at"]) if statistics else ()

    def setup(self, workload: WorkloadView, hparams: Hparams) -> None:  # type: ignore[override]
        super().setup(workload, hparams)
        normed = any(hasattr(module, "running_mean") for module in workload.model.modules())
        self._at_x = bool(self._residues) and normed

    def update(self, workload: WorkloadView, batch: Batch) -> Metrics:
        if self._at_x and workload.step % self._every in self._residues:
            self.pass_at_x(workload, batch)
        return super().update(workload, batch)

    @torch.no_grad()
    def pass_at_x(self, workload: WorkloadView, batch: Batch) -> None:
        """Running statistics of x on a batch; the parameters are x here."""
        workload.forward(batch, self.dropout_rate(workload.step), update_batch_norm=True)

    def gradient(
        self,
        workload: WorkloadView,
        batch: Batch,
        update_batch_norm: bool = True,
        clip: bool = True,
    ) -> tuple[Tensor, Tensor | None]:
        return super().gradient(workload, batch, update_batch_norm and not self._at_x, clip)


class RestartingScheduleFree(ScheduleFreeSubmission):
    """Starts over from the first parameters at half the rate if evaluations do not get better.

    In a step after `after` step hints, when there is a new evaluation and at least four: let s be
    the validation metric, negative where lower is better.  If s has risen by less than `least`
    since the first evaluation, and between each two of the last four, then parameters and state
    become what they were at the start, the warm-up begins anew, and the peak rate is halved.

    The metric and its direction are the workload's.  The published file calls metrics named loss or
    wer lower-is-better and all others higher-is-better (the same for all workloads of the
    benchmark), resets nothing on a CPU, and cannot be resumed.  Running statistics of batch norm
    are not reset, as there.  State: 4 bytes a parameter on the CPU for the first parameters.

    Args:
        after: share of the step hint before which nothing is tested.
        least: rise of the metric that counts as progress.
        rate_factor: of the learning rate at each restart.
        settings: as in `ScheduleFreeSubmission`.
    """

    def __init__(
        self,
        optimizer: dict[str, Any],
        after: float = 0.1,
        least: float = 0.01,
        rate_factor: float = 0.5,
        **settings: Any,
    ) -> None:
        super().__init__(optimizer, **settings)
        self._after, self._least, self._rate_factor = after, least, rate_factor

    def setup(self, workload: WorkloadView, hparams: Hparams) -> None:  # type: ignore[override]
        super().setup(workload, hparams)
        optimizers = [update.optimizer for update in self.updates]
        self._first = [p.detach().to("cpu", copy=True) for p in self.parameters]
        self._fresh = [optimizer.state_dict() for optimizer in optimizers]
        self._peaks = [[group["lr"] for group in each.param_groups] for each in optimizers]
        self._started = self._tested = self.restarts = 0  # steps, evaluations, times
        self._is_new = True  # whether there may be an evaluation that was not tested

    def update(self, workload: WorkloadView, batch: Batch) -> Metrics:
        if self._is_stuck(workload):
            self._restart(workload.step)
        for update, peaks in zip(self.updates, self._peaks):
            factor = self._rate_factor**self.restarts
            if update.schedule is not None:
                factor *= update.schedule(workload.step - self._started)
            for group, peak in zip(update.optimizer.param_groups, peaks):
                group["lr"] = peak * factor
        return super().update(workload, batch)

    def resume_training(self, workload: WorkloadView) -> None:
        super().resume_training(workload)
        self._is_new = True

    def _is_stuck(self, workload: WorkloadView) -> bool:
        if not self._is_new or workload.step <= self._after * workload.spec.step_hint:
            return False
        self._is_new = False
        rows = workload.time.evaluations
        if len(rows) < 4 or len(rows) == self._tested:
            return False
        self._tested = len(rows)
        sign = 1.0 if workload.spec.direction == "max" else -1.0
        s = [sign * row[f"validation/{workload.spec.metric}"] for row in rows]
        rises = [s[-1] - s[0], s[-1] - s[-2], s[-2] - s[-3], s[-3] - s[-4]]
        return all(rise < self._least for rise in rises)

    @torch.no_grad()
    def _restart(self, step: int) -> None:
        for p, first in zip(self.parameters, self._first):
            p.copy_(first)
        for update, fresh in zip(self.updates, self._fresh):
            update.optimizer.load_state_dict(fresh)
        self._started, self.restarts = step, self.restarts + 1

    def state_dict(self) -> dict[str, Any]:
        counts = {"started": self._started, "tested": self._tested, "restarts": self.restarts}
        return {**super().state_dict(), "first": self._first, "restart": counts}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        super().load_state_dict(state_dict)
        self._first = [tensor.cpu() for tensor in state_dict["first"]]
        counts = state_dict["restart"]
        self._started, self._tested = counts["started"], counts["tested"]
        self.restarts = counts["restarts"]
