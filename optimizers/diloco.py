"""What is left of DiLoCo with one worker?  An inner optimizer trains fast weights; every few steps
an outer Nesterov step moves slow weights by what the fast ones have gained.  The slow are judged.

    after each step k with (k + 1) mod period = 0:
    delta = slow - fast,   b <- mu b + delta
    slow <- slow - outer_lr (delta + mu b),   fast <- slow

The inner optimizer's moments and counters go on.  Slow weights and b stay on the device (8 bytes a
parameter, no transfer on the clock); the published file keeps them on the CPU.

Source: Douillard et al., arXiv 2311.08105; on one worker as entered in AlgoPerf (a JAX file).
"""

from typing import Any

import torch
from torch import Tensor

from algoperf_pt.errors import SubmissionError
from algoperf_pt.hparams import Hparams
from algoperf_pt.optimizer_submission import OptimizerSubmission
from algoperf_pt.submission import Metrics
from algoperf_pt.view import WorkloadView
from algoperf_pt.workload_data import Batch


class DilocoSubmission(OptimizerSubmission):
    """The module's outer loop around any optimizer.

    Args:
        optimizer: the inner one.
        period: steps between two outer steps.
        outer_lr: learning rate of the outer step.
        outer_momentum: mu.
        settings: the other arguments of `OptimizerSubmission`, but for `average`.

    Raises:
        SubmissionError: an average as well, or a value out of range.
    """

    def __init__(
        self,
        optimizer: dict[str, Any],
        period: int,
        outer_lr: float,
        outer_momentum: float,
        **settings: Any,
    ) -> None:
        super().__init__(optimizer, **settings)
        _check("average", self._average, self._average is None, "null: slow weights are judged")
        _check("period", period, period >= 1, "at least one step")
        _check("outer_lr", outer_lr, outer_lr >= 0, "a number of at least 0")
        _check("outer_momentum", outer_momentum, 0 <= outer_momentum < 1, "from 0 to below 1")
        self._period, self._outer_lr, self._momentum = period, outer_lr, outer_momentum

    def setup(self, workload: WorkloadView, hparams: Hparams) -> None:  # type: ignore[override]
        super().setup(workload, hparams)
        self.slow: list[Tensor] = [p.detach().clone() for p in self.parameters]
        self._velocity = [torch.zeros_like(p) for p in self.slow]

    def update(self, workload: WorkloadView, batch: Batch) -> Metrics:
        metrics = super().update(workload, batch)
        if (workload.step + 1) % self._period == 0:
            self._outer_step()
        return metrics

    @torch.no_grad()
    def _outer_step(self) -> None:
        delta = torch._foreach_sub(self.slow, self.parameters)
        torch._foreach_mul_(self._velocity, self._momentum)
        torch._foreach_add_(self._velocity, delta)
        torch._foreach_add_(delta, self._velocity, alpha=self._momentum)
        torch._foreach_add_(self.slow, delta, alpha=-self._outer_lr)
        torch._foreach_copy_(self.parameters, self.slow)

    @torch.no_grad()
    def prepare_for_eval(self, workload: WorkloadView) -> None:
        self._judged = [p.detach().clone() for p in self.parameters]
        torch._foreach_copy_(self.parameters, self.slow)

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "slow": self.slow, "velocity": self._velocity}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        super().load_state_dict(state_dict)
        torch._foreach_copy_(self.slow, state_dict["slow"])
        torch._foreach_copy_(self._velocity, state_dict["velocity"])


def _check(name: str, value: object, good: bool, expected: str) -> None:
    if not good:
        raise SubmissionError(
            f"submission.{name}={value} cannot be used with DiLoCo",
            expected=expected,
            where=f"submission.{name}",
        )
