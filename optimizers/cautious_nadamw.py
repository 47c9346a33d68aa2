"""What is cautious NAdamW?  NAdamW without the elements whose step and gradient disagree.

    m <- b1 m + (1 - b1) g,   v <- b2 v + (1 - b2) g^2
    h = (b1 m + (1 - b1) g) / (1 - b1^t),   t = 1, 2, ...
    mask = 1 where h g > 0, else 0
    u = h mask / max(mean of mask, 1e-3) / (sqrt(v / (1 - b2^t)) + eps)     (mean over the tensor)
    theta <- theta - lr (u + wd theta)

Weight decay is not masked.

Source: Liang et al., "Cautious Optimizers", arXiv 2411.16085, algorithm 2; the bound of the mean is
the one of AlgoPerf's entry.
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

LEAST = 1e-3  # bound of the share of elements that move


class CautiousNAdamW(AdamRule):
    """The module's formula; weight decay is decoupled: multiplied by the learning rate."""

    by_element = False  # the mean of the mask

    def plain(self, p: Tensor, g: Tensor, s: State, t: int, group: dict[str, Any]) -> None:
        m, v = s["exp_avg"], s["exp_avg_sq"]
        b1, b2 = group["betas"]
        root, factor = adam_scalars(t, group)
        p.mul_(1 - group["lr"] * group["weight_decay"])
        m.lerp_(g, 1 - b1)
        v.mul_(b2).addcmul_(g, g, value=1 - b2)
        ahead = m.lerp(g, 1 - b1)
        mask = ahead.mul(g).gt_(0)
        (ones,) = norms([mask], order=1)
        ahead.mul_(mask).div_((ones / max(mask.numel(), 1)).clamp(min=LEAST))
        denominator = v.sqrt().add_(root * group["eps"])
        p.addcdiv_(ahead, denominator, value=-group["lr"] * factor)

    def fast(
        self, params: list[Tensor], grads: list[Tensor], s: States, t: int, group: dict[str, Any]
    ) -> None:
        m, v = s["exp_avg"], s["exp_avg_sq"]
        b1, b2 = group["betas"]
        root, factor = adam_scalars(t, group)
        if group["weight_decay"]:
            scale_(params, 1 - group["lr"] * group["weight_decay"])
        torch._foreach_lerp_(m, grads, 1 - b1)
        add_squares_(v, grads, b2)
        ahead = torch._foreach_lerp(m, grads, 1 - b1)
        masks = list(torch._foreach_mul(ahead, grads))
        torch._foreach_sign_(masks)
        torch._foreach_clamp_min_(masks, 0.0)
        torch._foreach_mul_(ahead, masks)
        shares = norms(masks, order=1)  # the number of ones in each
        torch._foreach_div_(shares, [float(max(mask.numel(), 1)) for mask in masks])
        torch._foreach_clamp_min_(shares, LEAST)
        torch._foreach_div_(ahead, shares)
        denominator = torch._foreach_sqrt(v)
        torch._foreach_add_(denominator, root * group["eps"])
        torch._foreach_addcdiv_(params, ahead, denominator, -group["lr"] * factor)
