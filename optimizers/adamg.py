"""What is AdamG?  Adam whose step size follows from the gradients seen, so that lr = 1 always.

    theta <- theta (1 - st wd),   st = min(lr, 1 / sqrt(t)),   t = 1, 2, ...
    v <- b2 v + (1 - b2) g^2
    q <- b3 q + (1 - b3) scale v^power         (v as just updated, without bias correction)
    m <- b1 m + (1 - b1) q g
    theta <- theta - st (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps)

Source: Pan, Chen & Ding, arXiv 2405.04376, algorithm 1, with s(x) = 0.2 x^0.24.
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
    check_settings,
    scale_,
)


class AdamG(MultiTensor):
    """The module's formula.

    Args:
        params: as torch.optim takes them.
        lr: upper bound of the step size; may be changed in the groups before every step.
        betas: (b1, b2, b3), each from 0 to below 1.
        eps: added to the root, after the bias correction.
        weight_decay: decoupled; multiplied by the step size.
        scale, power: of the function s(x) = scale x^power that the numerator follows.
        foreach: True for the multi-tensor form; False for the plain one.

    Raises:
        ValueError: a value out of range; at a step, a sparse gradient.
    """

    buffers = {"exp_avg": None, "exp_avg_sq": None, "numerator": None}  # m, v, q

    def __init__(
        self,
        params: Any,
        lr: float = 1.0,
        betas: tuple[float, float, float] = (0.95, 0.999, 0.95),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        scale: float = 0.2,
        power: float = 0.24,
        foreach: bool = True,
    ) -> None:
        shape = {"scale": scale, "power": power}
        check_settings(self, betas, 3, lr=lr, eps=eps, weight_decay=weight_decay, **shape)
        settings = {"lr": lr, "betas": tuple(betas), "eps": eps, "weight_decay": weight_decay}
        super().__init__(params, {**settings, **shape}, foreach)

    def plain(self, p: Tensor, g: Tensor, s: State, t: int, group: dict[str, Any]) -> None:
        m, v, q = s["exp_avg"], s["exp_avg_sq"], s["numerator"]
        b1, b2, b3 = group["betas"]
        rate = min(group["lr"], 1 / math.sqrt(t))
        root, factor = adam_scalars(t, group)
        p.mul_(1 - rate * group["weight_decay"])
        v.mul_(b2).addcmul_(g, g, value=1 - b2)
        q.lerp_(v.pow(group["power"]).mul_(group["scale"]), 1 - b3)
        m.lerp_(q * g, 1 - b1)
        p.addcdiv_(m, v.sqrt().add_(root * group["eps"]), value=-rate * factor)

    def fast(
        self, params: list[Tensor], grads: list[Tensor], s: States, t: int, group: dict[str, Any]
    ) -> None:
        m, v, q = s["exp_avg"], s["exp_avg_sq"], s["numerator"]
        b1, b2, b3 = group["betas"]
        rate = min(group["lr"], 1 / math.sqrt(t))
        root, factor = adam_scalars(t, group)
        if group["weight_decay"]:
            scale_(params, 1 - rate * group["weight_decay"])
        add_squares_(v, grads, b2)
        goal = list(torch._foreach_pow(v, group["power"]))
        scale_(goal, group["scale"])
        torch._foreach_lerp_(q, goal, 1 - b3)
        torch._foreach_lerp_(m, torch._foreach_mul(q, grads), 1 - b1)
        denominator = torch._foreach_sqrt(v)
        torch._foreach_add_(denominator, root * group["eps"])
        torch._foreach_addcdiv_(params, m, denominator, -rate * factor)
