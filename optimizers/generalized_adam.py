"""What is generalized Adam?  One rule from momentum to AdamW, NAdamW and NadamP.

    m <- b1 m + (1 - b1) g,   v <- b2 v + (1 - b2) g^2
    h = (b1 m + (1 - b1) g) / (1 - b1^t) if nesterov, else m (not corrected),   t = 1, 2, ...
    u = h / ((v / (1 - b2^t))^(1 / power) + eps)
    theta <- theta - lr (u + wd theta)

With nesterov and power = 2 it is NAdamW.  Without preconditioning:

    m <- b1 m + g,   u = b1 m + g if nesterov, else m
    theta <- theta - lr (u + wd theta)

Source: AlgoPerf's first competition (arXiv 2502.15015), entries "Generalized Adam" and "NadamP".
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from optimizers.multi_tensor import (
    MultiTensor,
    State,
    States,
    add_squares_,
    check,
    check_settings,
    scale_,
)


class GeneralizedAdam(MultiTensor):
    """The module's formula.

    Args:
        params: as torch.optim takes them.
        lr: learning rate; may be changed in the groups before every step.
        betas: (b1, b2), each from 0 to below 1.
        eps: added to the root, after the bias correction.
        weight_decay: decoupled; multiplied by the learning rate.
        nesterov: look one step of the momentum ahead.
        power: of the root of the second moment; 2 is Adam's.
        disable_preconditioning: leave second moments out, in all groups.
        foreach: True for the multi-tensor form; False for the plain one.

    Raises:
        ValueError: a value out of range; at a step, a sparse gradient.
    """

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        nesterov: bool = True,
        power: float = 2.0,
        disable_preconditioning: bool = False,
        foreach: bool = True,
    ) -> None:
        check_settings(self, betas, 2, lr=lr, eps=eps, weight_decay=weight_decay)
        check(self, "power", power, power > 0, "a number above 0")
        settings = {"lr": lr, "betas": tuple(betas), "eps": eps, "weight_decay": weight_decay}
        kind = {"nesterov": nesterov, "power": power}
        kind["disable_preconditioning"] = disable_preconditioning
        super().__init__(params, {**settings, **kind}, foreach)

    @property
    def buffers(self) -> Mapping[str, torch.dtype | None]:  # type: ignore[override]
        """m, v."""
        only_momentum = self.defaults["disable_preconditioning"]
        return {"exp_avg": None} if only_momentum else {"exp_avg": None, "exp_avg_sq": None}

    def plain(self, p: Tensor, g: Tensor, s: State, t: int, group: dict[str, Any]) -> None:
        m = s["exp_avg"]
        b1, b2 = group["betas"]
        p.mul_(1 - group["lr"] * group["weight_decay"])
        new, root, rate = _scalars(t, group)
        m.mul_(b1).add_(g, alpha=new)
        ahead = m.mul(b1).add_(g, alpha=new) if group["nesterov"] else m
        if self.defaults["disable_preconditioning"]:
            p.add_(ahead, alpha=-rate)
            return
        v = s["exp_avg_sq"]
        v.mul_(b2).addcmul_(g, g, value=1 - b2)
        p.addcdiv_(ahead, v.pow(1 / group["power"]).add_(root * group["eps"]), value=-rate)

    def fast(
        self, params: list[Tensor], grads: list[Tensor], s: States, t: int, group: dict[str, Any]
    ) -> None:
        m = s["exp_avg"]
        b1, b2 = group["betas"]
        if group["weight_decay"]:
            scale_(params, 1 - group["lr"] * group["weight_decay"])
        new, root, rate = _scalars(t, group)
        scale_(m, b1)
        torch._foreach_add_(m, grads, alpha=new)
        ahead = m
        if group["nesterov"]:
            ahead = list(torch._foreach_mul(m, b1))
            torch._foreach_add_(ahead, grads, alpha=new)
        if self.defaults["disable_preconditioning"]:
            torch._foreach_add_(params, ahead, alpha=-rate)
            return
        v = s["exp_avg_sq"]
        add_squares_(v, grads, b2)
        denominator = torch._foreach_pow(v, 1 / group["power"])
        torch._foreach_add_(denominator, root * group["eps"])
        torch._foreach_addcdiv_(params, ahead, denominator, -rate)


def _scalars(t: int, group: dict[str, Any]) -> tuple[float, float, float]:
    """Share of a new gradient in m; s = (1 - b2^t)^(1 / power), by which the fraction is expanded;
    the rate that follows.
    """
    b1, b2 = group["betas"]
    if group["disable_preconditioning"]:
        return 1.0, 1.0, group["lr"]
    s = (1 - b2**t) ** (1 / group["power"])
    corrected = 1 - b1**t if group["nesterov"] else 1.0
    return 1 - b1, s, group["lr"] * s / corrected
