"""What is schedule-free AdamW for code that gives no closure?  The parameters hold y, where the
gradient is taken, and x is computed when it is to be judged.

    v <- b2 v + (1 - b2) g^2,   u = g / (sqrt(v / (1 - b2^t)) + eps) + wd y
    x = (y - (1 - b1) z) / b1,   z <- z - lr u,   x <- (1 - c) x + c z,   y <- b1 x + (1 - b1) z
    c = w_t / (w_1 + ... + w_t),   w_t = max(lr_1, ..., lr_t)^p           (0 as long as all lr are)

z is at first the parameters.  Unlike `optimizers.schedule_free` it decays by lr itself, not by the
bias-corrected rate.  With `lag` z moves at the learning rate of the step before, 0 in the first:
optax counts the steps of z from 0 and those of the weights from 1, which shows in a warm-up.

Source: Defazio et al., arXiv 2405.15682, in the form of optax.contrib.schedule_free_adamw.
"""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from algoperf_pt.view import WorkloadView
from algoperf_pt.workload_data import Batch
from optimizers.multi_tensor import MultiTensor, State, States, add_squares_, check, check_settings
from optimizers.schedule_free_submission import ScheduleFreeSubmission


class ScheduleFreeAdamWAtY(MultiTensor):
    """The module's formula.  State: 8 bytes a parameter.

    Args:
        params: as torch.optim takes them.
        lr: learning rate; may be changed in the groups before every step.
        betas: (b1, b2): share of x in y, above 0; decay of v.
        eps: added to the root, after the bias correction.
        weight_decay: decoupled; multiplied by the learning rate.
        weight_lr_power: p, power of the learning rate in the weights.
        lag: z moves at the learning rate of the step before.
        foreach: True for the multi-tensor form; False for the plain one.

    Raises:
        ValueError: a value out of range; at a step, a sparse gradient.
    """

    buffers = {"z": None, "exp_avg_sq": None}  # z, v

    def __init__(
        self,
        params: Any,
        lr: float = 2.5e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        weight_lr_power: float = 2.0,
        lag: bool = False,
        foreach: bool = True,
    ) -> None:
        power = {"weight_lr_power": weight_lr_power}
        check_settings(self, betas, 2, lr=lr, eps=eps, weight_decay=weight_decay, **power)
        check(self, "betas[0]", betas[0], betas[0] > 0, "above 0: y must hold a share of x")
        settings = {"lr": lr, "betas": tuple(betas), "eps": eps, "weight_decay": weight_decay}
        scalars = {"lr_max": 0.0, "weight_sum": 0.0, "c": 0.0, "rate": 0.0, "last_lr": 0.0}
        super().__init__(params, {**settings, **power, "lag": lag, **scalars}, foreach)

    def start(self, p: Tensor, name: str) -> Tensor:
        return p.detach().clone() if name == "z" else super().start(p, name)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One update; the gradients belong to y, which the parameters are."""
        for group in self.param_groups:
            lr = float(group["lr"])
            group["lr_max"] = max(lr, group["lr_max"])
            weight = group["lr_max"] ** group["weight_lr_power"]
            group["weight_sum"] += weight
            group["c"] = weight / group["weight_sum"] if weight else 0.0
            group["rate"], group["last_lr"] = (group["last_lr"] if group["lag"] else lr), lr
        return super().step(closure)

    @torch.no_grad()
    def to_x(self) -> None:
        """Let the parameters hold x.  Copies of y bring them back exactly."""
        for group in self.param_groups:
            known = [p for p in group["params"] if self.state.get(p)]
            if known:
                z = [self.state[p]["z"] for p in known]
                torch._foreach_lerp_(known, z, 1 - 1 / group["betas"][0])

    def plain(self, p: Tensor, g: Tensor, s: State, t: int, group: dict[str, Any]) -> None:
        z, v = s["z"], s["exp_avg_sq"]
        b1, b2 = group["betas"]
        v.mul_(b2).addcmul_(g, g, value=1 - b2)
        root = v.sqrt().div_(math.sqrt(1 - b2**t)).add_(group["eps"])
        decay = p * (group["rate"] * group["weight_decay"])
        p.lerp_(z, 1 - 1 / b1)
        z.sub_(decay).addcdiv_(g, root, value=-group["rate"])
        p.lerp_(z, group["c"]).lerp_(z, 1 - b1)

    def fast(
        self, params: list[Tensor], grads: list[Tensor], s: States, t: int, group: dict[str, Any]
    ) -> None:
        z, v = s["z"], s["exp_avg_sq"]
        b1, b2 = group["betas"]
        add_squares_(v, grads, b2)
        roots = torch._foreach_sqrt(v)
        torch._foreach_div_(roots, math.sqrt(1 - b2**t))
        torch._foreach_add_(roots, group["eps"])
        decay = torch._foreach_mul(params, group["rate"] * group["weight_decay"])
        torch._foreach_lerp_(params, z, 1 - 1 / b1)
        torch._foreach_sub_(z, decay)
        torch._foreach_addcdiv_(z, grads, roots, -group["rate"])
        torch._foreach_lerp_(params, z, group["c"])
        torch._foreach_lerp_(params, z, 1 - b1)


class AtYSubmission(ScheduleFreeSubmission):
    """A rule whose parameters hold y and that has `to_x`: its x is judged."""

    def prepare_for_eval(self, workload: WorkloadView) -> None:
        self._judged = [p.detach().clone() for p in self.parameters]
        self.optimizer.to_x()  # type: ignore[attr-defined]

    def pass_at_x(self, workload: WorkloadView, batch: Batch) -> None:
        self.prepare_for_eval(workload)
        super().pass_at_x(workload, batch)
        self.resume_training(workload)
