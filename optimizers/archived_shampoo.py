"""What did the paper's Shampoo baseline compute?  Normalised Adam without a preconditioner.

The archived code skips the preconditioner of a tensor if any of its sides is longer than a limit,
whose default is 0: it skipped all of them, and what was left is, for each tensor,

    q = g / (||g|| + 1e-25)
    v <- b2 v + (1 - b2) q^2                                       (no bias correction)
    u = q / (sqrt(v) + 1e-8) + wd theta                            (decay enters the momentum)
    m <- b1 m + (1 - b1) u
    theta <- theta - lr ((1 - b1) u + b1 m)                        (Nesterov)

optimizers/shampoo.py has the real one.

Source: the archived JAX baseline of Dahl et al., arXiv 2306.07179, as it ran.
"""

from typing import Any

import torch
from torch import Tensor

from optimizers.multi_tensor import MultiTensor, State, States, add_squares_, check_settings

TINY, EPSILON = 1e-25, 1e-8  # the archived file's


class ArchivedShampoo(MultiTensor):
    """The module's formula.

    Args:
        params: as torch.optim takes them.
        lr: learning rate; may be changed in the groups before every step.
        betas: (b1, b2), each from 0 to below 1.
        weight_decay: wd.
        foreach: True for the multi-tensor form; False for the plain one.

    Raises:
        ValueError: a value out of range; at a step, a sparse gradient.
    """

    buffers = {"exp_avg": None, "exp_avg_sq": None}  # m, v
    by_element = False  # the norm is that of a tensor

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        weight_decay: float = 0.0,
        foreach: bool = True,
    ) -> None:
        check_settings(self, betas, 2, lr=lr, weight_decay=weight_decay)
        settings = {"lr": lr, "betas": tuple(betas), "weight_decay": weight_decay}
        super().__init__(params, settings, foreach)

    def plain(self, p: Tensor, g: Tensor, s: State, t: int, group: dict[str, Any]) -> None:
        m, v = s["exp_avg"], s["exp_avg_sq"]
        b1, b2 = group["betas"]
        q = g / (g.norm() + TINY)
        v.mul_(b2).addcmul_(q, q, value=1 - b2)
        u = q / (v.sqrt() + EPSILON) + group["weight_decay"] * p
        m.lerp_(u, 1 - b1)
        p.sub_(u.lerp(m, b1), alpha=group["lr"])

    def fast(
        self, params: list[Tensor], grads: list[Tensor], s: States, t: int, group: dict[str, Any]
    ) -> None:
        m, v = s["exp_avg"], s["exp_avg_sq"]
        b1, b2 = group["betas"]
        norms = torch._foreach_norm(grads)
        torch._foreach_add_(norms, TINY)
        u = torch._foreach_div(grads, norms)
        add_squares_(v, u, b2)
        root = torch._foreach_sqrt(v)
        torch._foreach_add_(root, EPSILON)
        torch._foreach_div_(u, root)
        if group["weight_decay"]:
            torch._foreach_add_(u, params, alpha=group["weight_decay"])
        torch._foreach_lerp_(m, u, 1 - b1)
        torch._foreach_lerp_(u, m, b1)
        torch._foreach_add_(params, u, alpha=-group["lr"])
