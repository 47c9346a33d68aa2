"""What is Adafactor?  Adam without the memory: second moments of a matrix by rows and columns.

    b = d (1 - d^(t - 1)) / (1 - d^t),   q = g^2 + eps,   t = 1, 2, ...
    R <- b R + (1 - b) mean of q over the last dimension
    C <- b C + (1 - b) mean of q over the last but one
    V = (R / mean of R over its last dimension) C             (an outer product)
    u = g / sqrt(V);   u <- u / max(1, rms(u) / threshold)    (rms over the tensor)
    m <- b1 m + (1 - b1) lr u
    theta <- theta (1 - lr wd) - m

Tensors of fewer than two dimensions have a V of their own, V <- b V + (1 - b) q.  The kernel of a
convolution (out, in, height, width) is factored over its last two dimensions, as any tensor is.

This is the form of the benchmark's baseline.  The paper's, and torch.optim.Adafactor, make b follow
a power law, the learning rate relative to the size of the tensor and to the step, and have no
momentum.  Here the learning rate acts before the momentum: a change of it is smoothed, too.

Source: Shazeer & Stern, arXiv 1804.04235 (factors, clipping by rms).
Source: Dahl et al., arXiv 2306.07179 (this form).
"""

import math
from typing import Any

import torch
from torch import Tensor

from optimizers.multi_tensor import (
    MultiTensor,
    State,
    States,
    check,
    check_settings,
    norms,
    scale_,
)


class Adafactor(MultiTensor):
    """The module's formula.

    Args:
        params: as torch.optim takes them.
        lr: learning rate; may be changed in the groups before every step.
        beta1: of the momentum, from 0 to below 1.
        decay: d, of the second moments, above 0 and below 1.
        eps: added to squared gradients, above 0.
        threshold: largest rms of an update before the learning rate.
        weight_decay: decoupled; multiplied by the learning rate.
        foreach: True for the multi-tensor form; False for the plain one.

    Raises:
        ValueError: a value out of range; at a step, a sparse gradient.
    """

    # R and C of what is factored, V of what is not, m; tensors that do not apply are empty
    buffers = {"row": None, "column": None, "exp_avg_sq": None, "exp_avg": None}
    by_element = False

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        beta1: float = 0.9,
        decay: float = 0.99,
        eps: float = 1e-30,
        threshold: float = 1.0,
        weight_decay: float = 0.0,
        foreach: bool = True,
    ) -> None:
        check_settings(self, (beta1,), 1, lr=lr, weight_decay=weight_decay)
        check(self, "decay", decay, 0.0 < decay < 1.0, "a number above 0 and below 1")
        check(self, "eps", eps, 0.0 < eps < 1.0, "a number above 0 and below 1")
        check(self, "threshold", threshold, threshold > 0.0, "a number above 0")
        settings = {"lr": lr, "beta1": beta1, "decay": decay, "eps": eps, "threshold": threshold}
        super().__init__(params, {**settings, "weight_decay": weight_decay}, foreach)

    def start(self, p: Tensor, name: str) -> Tensor:
        if name == "exp_avg" or _is_factored(p) == (name != "exp_avg_sq"):
            shapes = {"row": p.shape[:-1], "column": (*p.shape[:-2], *p.shape[-1:])}
            return p.new_zeros(shapes.get(name, p.shape))
        return p.new_empty(0)

    def plain(self, p: Tensor, g: Tensor, s: State, t: int, group: dict[str, Any]) -> None:
        u = _preconditioned(g, s, t, group).to(p.dtype)
        (rms,) = _rms([u])
        u.div_((rms / group["threshold"]).clamp(min=1))
        m = s["exp_avg"]
        m.lerp_(u.mul_(group["lr"]), 1 - group["beta1"])
        p.mul_(1 - group["lr"] * group["weight_decay"]).sub_(m)

    def fast(
        self, params: list[Tensor], grads: list[Tensor], s: States, t: int, group: dict[str, Any]
    ) -> None:
        states = [dict(zip(s, tensors)) for tensors in zip(*s.values())]
        u = [_preconditioned(g, state, t, group) for g, state in zip(grads, states)]
        factors = _rms(u)
        torch._foreach_div_(factors, group["threshold"])
        torch._foreach_clamp_min_(factors, 1.0)
        torch._foreach_reciprocal_(factors)
        torch._foreach_mul_(factors, group["lr"])
        torch._foreach_mul_(u, factors)
        torch._foreach_lerp_(s["exp_avg"], u, 1 - group["beta1"])
        if group["weight_decay"]:
            scale_(params, 1 - group["lr"] * group["weight_decay"])
        torch._foreach_sub_(params, s["exp_avg"])


def _preconditioned(g: Tensor, s: State, t: int, group: dict[str, Any]) -> Tensor:
    """Update the second moments; g / sqrt(V)."""
    d = group["decay"]
    share = 1 - d * (1 - d ** (t - 1)) / (1 - d**t)  # of the new squares: 1 - b
    squares = g.square().add_(group["eps"])
    if not _is_factored(g):
        return g / s["exp_avg_sq"].lerp_(squares, share).sqrt()
    rows = s["row"].lerp_(squares.mean(-1), share)
    columns = s["column"].lerp_(squares.mean(-2), share)
    rows = rows / rows.mean(-1, keepdim=True)
    return g * rows.rsqrt().unsqueeze(-1) * columns.rsqrt().unsqueeze(-2)


def _is_factored(p: Tensor) -> bool:
    return p.dim() >= 2 and p.numel() > 0


def _rms(tensors: list[Tensor]) -> list[Tensor]:
    """The root of the mean square [] of each tensor; 0 of an empty one."""
    lengths = norms(tensors)
    torch._foreach_div_(lengths, [math.sqrt(max(tensor.numel(), 1)) for tensor in tensors])
    return lengths
