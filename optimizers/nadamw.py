"""What is NAdamW?  Adam with Nesterov's look-ahead and decoupled weight decay.

    theta <- theta (1 - lr wd)
    m <- b1 m + (1 - b1) g,   v <- b2 v + (1 - b2) g^2
    ahead = b1 m + (1 - b1) g                                   (one more momentum step, not stored)
    theta <- theta - lr (ahead / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps),   t = 1, 2, ...

Both updates below multiply numerator and denominator by s = sqrt(1 - b2^t) and add the two terms of
`ahead` one after the other: the same value with one temporary instead of two, which is what makes
it as fast as torch.optim.AdamW.  It differs from torch.optim.NAdam, which has a schedule of its
momentum and corrects the two terms of `ahead` differently.

Source: Dozat, "Incorporating Nesterov momentum into Adam" (2016).
Source: Loshchilov & Hutter, arXiv 1711.05101 (decoupled decay).
Source: Dahl et al., arXiv 2306.07179 (this form, with Adam's plain bias correction).
"""

import math
from typing import Any

import torch
from torch import Tensor

from optimizers.multi_tensor import AdamRule, State, States, add_squares_, scale_


class NAdamW(AdamRule):
    """The module's formula; weight decay is decoupled: multiplied by the learning rate."""

    def plain(self, p: Tensor, g: Tensor, s: State, t: int, group: dict[str, Any]) -> None:
        m, v = s["exp_avg"], s["exp_avg_sq"]
        b1, b2 = group["betas"]
        root, rate = _scalars(t, group)
        p.mul_(1 - group["lr"] * group["weight_decay"])
        m.lerp_(g, 1 - b1)
        v.mul_(b2).addcmul_(g, g, value=1 - b2)
        denominator = v.sqrt().add_(root * group["eps"])
        p.addcdiv_(m, denominator, value=-rate * b1)
        p.addcdiv_(g, denominator, value=-rate * (1 - b1))

    def fast(
        self, params: list[Tensor], grads: list[Tensor], s: States, t: int, group: dict[str, Any]
    ) -> None:
        m, v = s["exp_avg"], s["exp_avg_sq"]
        b1, b2 = group["betas"]
        root, rate = _scalars(t, group)
        if group["weight_decay"]:
            scale_(params, 1 - group["lr"] * group["weight_decay"])
        torch._foreach_lerp_(m, grads, 1 - b1)
        add_squares_(v, grads, b2)
        denominator = torch._foreach_sqrt(v)
        torch._foreach_add_(denominator, root * group["eps"])
        torch._foreach_addcdiv_(params, m, denominator, -rate * b1)
        torch._foreach_addcdiv_(params, grads, denominator, -rate * (1 - b1))


def _scalars(t: int, group: dict[str, Any]) -> tuple[float, float]:
    """s = sqrt(1 - b2^t) and the rate lr s / (1 - b1^t) that follows from pulling it out."""
    b1, b2 = group["betas"]
    s = math.sqrt(1 - b2**t)
    return s, group["lr"] * s / (1 - b1**t)
