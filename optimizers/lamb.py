"""What is LAMB?  Adam whose step for each tensor is as long as the tensor, times the learning rate.

    m <- b1 m + (1 - b1) g,   v <- b2 v + (1 - b2) g^2
    u = (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps) + wd theta,   t = 1, 2, ...
    theta <- theta - lr r u,   r = |theta| / |u|,   r = 1 where either norm is 0

Norms are over a whole tensor, biases and scales of norms included.  The paper bounds |theta| by a
function phi and leaves it open; here it is the identity, and r has no bounds.  Both forms pull
s = sqrt(1 - b2^t) out of the fraction, as in optimizers/nadamw.py.

Source: You et al., arXiv 1904.00962, algorithm 2.
"""

from typing import Any

import torch
from torch import Tensor

from optimizers.multi_tensor import (
    MultiTensor,
    State,
    States,
    adam_scalars,
    check_settings,
    norms,
    scale_,
)


class LAMB(MultiTensor):
    """The module's formula.

    Args:
        params: as torch.optim takes them.
        lr: learning rate; may be changed in the groups before every step.
        betas: (b1, b2), each from 0 to below 1.
        eps: added to the root, after the bias correction.
        weight_decay: part of the step before its length is set.
        foreach: True for the multi-tensor form; False for the plain one.

    Raises:
        ValueError: a value out of range; at a step, a sparse gradient.
    """

    buffers = {"exp_avg": None, "exp_avg_sq": None}  # m, v
    by_element = False  # two norms of each tensor

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        foreach: bool = True,
    ) -> None:
        check_settings(self, betas, 2, lr=lr, eps=eps, weight_decay=weight_decay)
        settings = {"lr": lr, "betas": tuple(betas), "eps": eps, "weight_decay": weight_decay}
        super().__init__(params, settings, foreach)

    def plain(self, p: Tensor, g: Tensor, s: State, t: int, group: dict[str, Any]) -> None:
        m, v = s["exp_avg"], s["exp_avg_sq"]
        b1, b2 = group["betas"]
        root, factor = adam_scalars(t, group)
        m.lerp_(g, 1 - b1)
        v.mul_(b2).addcmul_(g, g, value=1 - b2)
        u = m / v.sqrt().add_(root * group["eps"])
        u.mul_(factor).add_(p, alpha=group["weight_decay"])
        ratio = _ratio(*norms([p, u]))
        p.sub_(u.mul_(group["lr"] * ratio))

    def fast(
        self, params: list[Tensor], grads: list[Tensor], s: States, t: int, group: dict[str, Any]
    ) -> None:
        m, v = s["exp_avg"], s["exp_avg_sq"]
        b1, b2 = group["betas"]
        root, factor = adam_scalars(t, group)
        torch._foreach_lerp_(m, grads, 1 - b1)
        scale_(v, b2)
        torch._foreach_addcmul_(v, grads, grads, 1 - b2)
        denominator = torch._foreach_sqrt(v)
        torch._foreach_add_(denominator, root * group["eps"])
        u = list(torch._foreach_div(m, denominator))
        scale_(u, factor)
        if group["weight_decay"]:
            torch._foreach_add_(u, params, alpha=group["weight_decay"])
        rates = group["lr"] * _ratio(torch.stack(norms(params)), torch.stack(norms(u)))  # [tensors]
        torch._foreach_mul_(u, list(rates.unbind()))
        torch._foreach_sub_(params, u)


def _ratio(length: Tensor, step: Tensor) -> Tensor:
    """length / step, and 1 where either is 0."""
    return torch.where((length > 0) & (step > 0), length / step, 1.0)
