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
    AdamRule,
    State,
    States,
    adam_scalars,
    add_squares_,
    norms,
    scale_,
)


class LAMB(AdamRule):
    """The module's formula; weight decay is part of the step before its length is set."""

    by_element = False  # two norms of each tensor

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
        add_squares_(v, grads, b2)
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
