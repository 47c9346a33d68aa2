"""What is Lion?  The sign of a momentum, with decoupled weight decay.

    theta <- theta (1 - lr wd)
    theta <- theta - lr sign(b1 m + (1 - b1) g),   sign(0) = 0
    m <- b2 m + (1 - b2) g

Every element moves by the learning rate, so Lion wants one that is 3 to 10 times smaller than
Adam's.

Source: Chen et al., arXiv 2302.06675, algorithm 2.
"""

from typing import Any

import torch
from torch import Tensor

from optimizers.multi_tensor import MultiTensor, State, States, check_settings, scale_


class Lion(MultiTensor):
    """The module's formula.

    Args:
        params: as torch.optim takes them.
        lr: learning rate; may be changed in the groups before every step.
        betas: (b1, b2), of the step and of the momentum, each from 0 to below 1.
        weight_decay: decoupled; multiplied by the learning rate.
        foreach: True for the multi-tensor form; False for the plain one.

    Raises:
        ValueError: a value out of range; at a step, a sparse gradient.
    """

    buffers = {"exp_avg": None}  # m

    def __init__(
        self,
        params: Any,
        lr: float = 1e-4,
        betas: tuple[float, float] = (0.9, 0.99),
        weight_decay: float = 0.0,
        foreach: bool = True,
    ) -> None:
        check_settings(self, betas, 2, lr=lr, weight_decay=weight_decay)
        settings = {"lr": lr, "betas": tuple(betas), "weight_decay": weight_decay}
        super().__init__(params, settings, foreach)

    def plain(self, p: Tensor, g: Tensor, s: State, t: int, group: dict[str, Any]) -> None:
        m = s["exp_avg"]
        b1, b2 = group["betas"]
        p.mul_(1 - group["lr"] * group["weight_decay"])
        p.add_(m.lerp(g, 1 - b1).sign_(), alpha=-group["lr"])
        m.lerp_(g, 1 - b2)

    def fast(
        self, params: list[Tensor], grads: list[Tensor], s: States, t: int, group: dict[str, Any]
    ) -> None:
        m = s["exp_avg"]
        b1, b2 = group["betas"]
        if group["weight_decay"]:
            scale_(params, 1 - group["lr"] * group["weight_decay"])
        signs = torch._foreach_lerp(m, grads, 1 - b1)
        torch._foreach_sign_(signs)
        torch._foreach_add_(params, signs, alpha=-group["lr"])
        torch._foreach_lerp_(m, grads, 1 - b2)
