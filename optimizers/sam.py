"""What is SAM?  The gradient is taken at the worst point nearby, the step from where we are.

    e = rho g(theta) / |g(theta)|          (norm over all tensors)
    g' = g(theta + e), on the same batch
    theta <- the optimizer's step from theta with g'

Any optimizer serves; the baseline takes AdamW.  The second pass leaves running statistics alone,
and draws its own dropout masks.  Clipping, if any, is that of g'.

Source: Foret et al., arXiv 2010.01412, algorithm 1 with p = 2.
"""

from typing import Any

import torch
from torch import Tensor

from algoperf_pt.errors import SubmissionError
from algoperf_pt.optimizer_submission import OptimizerSubmission
from algoperf_pt.view import WorkloadView
from algoperf_pt.workload_data import Batch


class Sam(OptimizerSubmission):
    """Two forward and backward passes a step.

    Args:
        rho: length of e.
        settings: as of `OptimizerSubmission`.

    Raises:
        SubmissionError: a rho that is not above 0.
    """

    def __init__(self, rho: float, **settings: Any) -> None:
        super().__init__(**settings)
        if not 0.0 < rho < float("inf"):
            raise SubmissionError(
                f"Sam: rho = {rho}", expected="a length above 0", where="submission.options.rho"
            )
        self.rho = rho

    def gradient(
        self,
        workload: WorkloadView,
        batch: Batch,
        update_batch_norm: bool = True,
        clip: bool = True,
    ) -> tuple[Tensor, Tensor | None]:
        """Put g' into `.grad`; loss and norm are those at theta."""
        loss, norm = super().gradient(workload, batch, update_batch_norm, clip=False)
        moved = self._climb()
        super().gradient(workload, batch, update_batch_norm=False, clip=clip)
        with torch.no_grad():
            for parameter, start in moved:
                parameter.copy_(start)
        return loss, norm

    @torch.no_grad()
    def _climb(self) -> list[tuple[Tensor, Tensor]]:
        """Go to theta + e; (parameter, its copy) of all that moved."""
        live = [p for p in self.parameters if p.grad is not None]
        grads = [p.grad for p in live if p.grad is not None]
        start = [p.detach().clone() for p in live]
        length = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(grads)))
        tiny = torch.finfo(length.dtype).tiny  # without any gradient there is no way up: e = 0
        scale = self.rho / length.clamp(min=tiny)
        torch._foreach_add_(live, list(torch._foreach_mul(grads, scale)))
        return list(zip(live, start))
