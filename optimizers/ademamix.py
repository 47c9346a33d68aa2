"""What is AdEMAMix?  AdamW with a second momentum that remembers tens of thousands of steps.

    m1 <- b1 m1 + (1 - b1) g,   m2 <- b3(t) m2 + (1 - b3(t)) g,   v <- b2 v + (1 - b2) g^2
    u = (m1 / (1 - b1^t) + alpha(t) m2) / (sqrt(v / (1 - b2^t)) + eps),   t = 1, 2, ...
    theta <- theta - lr (u + wd theta)

m2 has no bias correction.  Its weight and its memory grow over warm-ups:

    alpha(t) = alpha min(t / alpha_warmup, 1)
    b3(t): its half-life grows linearly from that of b1 to that of b3, over beta3_warmup steps

Source: Pagliardini, Ablin & Grangier, arXiv 2409.03137, algorithm 1 and appendix A.1.
"""

import math
from typing import Any

import torch
from torch import Tensor

from optimizers.multi_tensor import (
    MultiTensor,
    State,
    States,
    adam_scalars,
    add_squares_,
    check,
    check_settings,
    scale_,
)


class AdEMAMix(MultiTensor):
    """The module's formula.

    Args:
        params: as torch.optim takes them.
        lr: learning rate; may be changed in the groups before every step.
        betas: (b1, b2, b3), each from 0 to below 1; b3 of the long momentum.
        eps: added to the root, after the bias correction.
        weight_decay: decoupled; multiplied by the learning rate.
        alpha: weight of the long momentum.
        beta3_warmup, alpha_warmup: steps; None: none.  The paper takes the length of the training.
        foreach: True for the multi-tensor form; False for the plain one.

    Raises:
        ValueError: a value out of range; at a step, a sparse gradient.
    """

    buffers = {"exp_avg": None, "exp_avg_slow": None, "exp_avg_sq": None}  # m1, m2, v

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        betas: tuple[float, float, float] = (0.9, 0.999, 0.9999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        alpha: float = 5.0,
        beta3_warmup: int | None = None,
        alpha_warmup: int | None = None,
        foreach: bool = True,
    ) -> None:
        check_settings(self, betas, 3, lr=lr, eps=eps, weight_decay=weight_decay, alpha=alpha)
        warmups = {"beta3_warmup": beta3_warmup, "alpha_warmup": alpha_warmup}
        for name, steps in warmups.items():
            check(self, name, steps, steps is None or steps > 0, "steps above 0, or None")
        settings = {"lr": lr, "betas": tuple(betas), "eps": eps, "weight_decay": weight_decay}
        super().__init__(params, {**settings, "alpha": alpha, **warmups}, foreach)

    def plain(self, p: Tensor, g: Tensor, s: State, t: int, group: dict[str, Any]) -> None:
        m1, m2, v = s["exp_avg"], s["exp_avg_slow"], s["exp_avg_sq"]
        b1, b2, _ = group["betas"]
        b3, alpha = mixing(t, group)
        root, factor = adam_scalars(t, group)
        p.mul_(1 - group["lr"] * group["weight_decay"])
        m1.lerp_(g, 1 - b1)
        m2.lerp_(g, 1 - b3)
        v.mul_(b2).addcmul_(g, g, value=1 - b2)
        denominator = v.sqrt().add_(root * group["eps"])
        p.addcdiv_(m1, denominator, value=-group["lr"] * factor)
        p.addcdiv_(m2, denominator, value=-group["lr"] * root * alpha)

    def fast(
        self, params: list[Tensor], grads: list[Tensor], s: States, t: int, group: dict[str, Any]
    ) -> None:
        m1, m2, v = s["exp_avg"], s["exp_avg_slow"], s["exp_avg_sq"]
        b1, b2, _ = group["betas"]
        b3, alpha = mixing(t, group)
        root, factor = adam_scalars(t, group)
        if group["weight_decay"]:
            scale_(params, 1 - group["lr"] * group["weight_decay"])
        torch._foreach_lerp_(m1, grads, 1 - b1)
        torch._foreach_lerp_(m2, grads, 1 - b3)
        add_squares_(v, grads, b2)
        denominator = torch._foreach_sqrt(v)
        torch._foreach_add_(denominator, root * group["eps"])
        torch._foreach_addcdiv_(params, m1, denominator, -group["lr"] * factor)
        torch._foreach_addcdiv_(params, m2, denominator, -group["lr"] * root * alpha)


def mixing(t: int, group: dict[str, Any]) -> tuple[float, float]:
    """b3(t) and alpha(t)."""
    b1, _, b3 = group["betas"]
    beta_steps, alpha_steps = group["beta3_warmup"], group["alpha_warmup"]
    alpha = group["alpha"]
    if alpha_steps is not None and t < alpha_steps:
        alpha *= t / alpha_steps
    if beta_steps is not None and t < beta_steps:
        done = t / beta_steps
        b3 = 0.5 ** (1 / ((1 - done) * _half_life(b1) + done * _half_life(b3)))
    return b3, alpha


def _half_life(beta: float) -> float:
    """Steps after which half of a gradient is forgotten; 1e-8 lets beta be 0."""
    return math.log(0.5) / math.log(beta + 1e-8)
