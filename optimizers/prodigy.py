"""How does schedule-free AdamW find its own learning rate?  Prodigy estimates the distance d from
the first to the best parameters.

    y = b1 x + (1 - b1) z,   g at y,   q = d lr                        (d from the last step)
    n <- sqrt(b2) n + d q sum <g, p0 - z>                (sums over all tensors of the group)
    v <- b2 v + (1 - b2) d^2 g^2
    s <- sqrt(b2) s + d q g,   d <- max(d, d_coef n / sum |s|)
    z <- z - wd q x,   z <- z - d q g / (sqrt(v) + d eps)              (the new d, the old q)
    x <- (1 - c) x + c z,   c = w_t / (w_1 + ... + w_t),   w_t = t^r

x are the parameters between two steps, z and p0 at first the parameters; v, s, p0 and each tensor's
sum |s| are rounded to bfloat16, as published (a sum in float32 moves d by up to 0.4 %).
As long as all gradients have been zero, nothing changes and no step counts.  lr is a multiplier,
usually 1 after a warm-up.

The published file evaluates loss and gradient at x as well and throws them away.  That costs half
of its time and does nothing but update batch-norm statistics (and draw dropout masks) once more, so
it is left out.  It also reads two numbers of each tensor back from the device in every step; here
d, n, t and the sum of weights are tensors on the device and none is ever waited for.

Source: Mishchenko & Defazio, arXiv 2306.06101 (Prodigy); Defazio et al., arXiv 2405.15682; their
combination as entered in AlgoPerf v0.5.
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from optimizers.multi_tensor import States, add_squares_, check, in_type_of, scale_
from optimizers.schedule_free import ScheduleFree

STATE = ("z", "exp_avg_sq", "s", "p0")  # z, v, s, p0 of a parameter
SCALARS = ("d", "numerator", "k", "weight_sum")  # state of a group, [] float64 on its device
Kinds = list[tuple[torch.dtype, tuple[list[Tensor], list[Tensor], States]]]  # params, grads, state


class ScheduleFreeProdigy(ScheduleFree):
    """The module's formula.  State: 10 bytes a parameter.

    Args:
        params, lr, betas, eps, weight_decay, r, foreach: as in `ScheduleFree`.
        d0: first d; too small costs some steps, too large may diverge.
        d_coef: multiplies the estimate of d.

    Raises:
        ValueError: a value out of range; at a step, a sparse gradient, or a group on two devices.
    """

    buffers = {
        "z": None,
        "exp_avg_sq": torch.bfloat16,  # v
        "s": torch.bfloat16,
        "p0": torch.bfloat16,
    }
    by_element = False  # d follows from sums over all tensors

    def __init__(
        self,
        params: Any,
        lr: float = 1.0,
        betas: tuple[float, float] = (0.9, 0.9955),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        r: float = 0.75,
        d0: float = 1e-6,
        d_coef: float = 1.0,
        foreach: bool = True,
    ) -> None:
        check(self, "d0", d0, 0 < d0 < math.inf, "a finite number above 0")
        check(self, "d_coef", d_coef, 0 < d_coef < math.inf, "a finite number above 0")
        self._d0, self._d_coef = d0, d_coef
        super().__init__(params, lr, betas, eps, weight_decay, r, 0.0, foreach)

    def scalars(self) -> dict[str, Any]:
        first = dict.fromkeys(SCALARS, 0.0)
        return {**first, "d": self._d0, "d_coef": self._d_coef}

    def update(self) -> None:
        for group in self.param_groups:
            sorted_ = self._count_and_sort(group["params"])
            devices = {device for device, _, _ in sorted_}
            if len(devices) > 1:
                raise ValueError(f"{type(self).__name__}: a group lies on {devices}, expected one")
            kinds = [(dtype, tensors) for (_, dtype, _), tensors in sorted_.items()]
            if kinds:
                self._update_group(group, devices.pop(), kinds)

    def _update_group(self, group: dict[str, Any], device: torch.device, kinds: Kinds) -> None:
        for name in SCALARS:  # numbers at first, tensors of any device after loading a state
            group[name] = torch.as_tensor(group[name], dtype=torch.float64, device=device)
        measure, move = (_measure, _move) if group["foreach"] else (_measure_plain, _move_plain)
        d, eps = group["d"], group["eps"]
        q = d * float(group["lr"])
        sums = [
            measure(*tensors, group["betas"], *_typed(dtype, d, q)) for dtype, tensors in kinds
        ]
        inner, size = (torch.stack(part).sum() for part in zip(*sums))
        live = size > 0  # a tensor, not a branch: nothing waits for the device
        c = _grow(group, q * inner, size, live)
        decay = torch.where(live, q * group["weight_decay"], 0.0)
        for dtype, tensors in kinds:
            move(*tensors, *_typed(dtype, group["d"], q, decay, c), eps)


def _grow(group: dict[str, Any], inner: Tensor, size: Tensor, live: Tensor) -> Tensor:
    """Update the group's scalars; returns c []."""
    d, root = group["d"], math.sqrt(group["betas"][1])
    group["numerator"] = group["numerator"] * root + d * inner
    better = torch.maximum(d, group["d_coef"] * group["numerator"] / size)
    group["d"] = torch.where(live, better, d)
    group["k"] = group["k"] + live
    weight = torch.where(live, group["k"] ** group["r"], 0.0)
    group["weight_sum"] = group["weight_sum"] + weight
    return torch.where(live, weight / group["weight_sum"], 0.0)


def _typed(dtype: torch.dtype, *scalars: Tensor) -> list[Tensor]:
    """The scalars in the type of the arithmetic, which multi-tensor kernels want."""
    return [scalar.to(torch.promote_types(dtype, torch.float32)) for scalar in scalars]


def _measure_plain(
    params: list[Tensor],
    grads: list[Tensor],
    s: States,
    betas: tuple[float, float],
    d: Tensor,
    q: Tensor,
) -> tuple[Tensor, Tensor]:
    """From y to x, and v and s of this step; returns sum <g, p0 - z> and sum |s|, both []."""
    inner, size = [], []
    for p, g, z, v, total, p0 in zip(params, grads, *(s[name] for name in STATE)):
        p.sub_(z, alpha=1 - betas[0]).div_(betas[0])
        inner.append((g * (p0 - z)).sum())
        v.mul_(betas[1]).addcmul_(g * d, g * d, value=1 - betas[1])
        total.mul_(math.sqrt(betas[1])).add_(g * (d * q))
        size.append(torch.linalg.vector_norm(total, 1))
    return _sum(inner), _sum(size)


def _measure(
    params: list[Tensor],
    grads: list[Tensor],
    s: States,
    betas: tuple[float, float],
    d: Tensor,
    q: Tensor,
) -> tuple[Tensor, Tensor]:
    z, v, total, p0 = (s[name] for name in STATE)
    torch._foreach_sub_(params, z, alpha=1 - betas[0])
    torch._foreach_div_(params, betas[0])
    apart = torch._foreach_sub(in_type_of(z, p0), z)
    torch._foreach_mul_(apart, grads)
    add_squares_(v, torch._foreach_mul(grads, d), betas[1])
    scale_(total, math.sqrt(betas[1]))
    wide = in_type_of(grads, total)
    torch._foreach_add_(wide, torch._foreach_mul(grads, d * q))
    if wide is not total:
        torch._foreach_copy_(total, wide)
    return _sum([part.sum() for part in apart]), _sum(torch._foreach_norm(total, 1))


def _sum(numbers: Sequence[Tensor]) -> Tensor:
    return torch.stack(list(numbers)).sum(dtype=torch.float64)


def _move_plain(
    params: list[Tensor],
    grads: list[Tensor],
    s: States,
    d: Tensor,
    q: Tensor,
    decay: Tensor,
    c: Tensor,
    eps: float,
) -> None:
    """Update z and x with the new d; d q / (sqrt(v) + d eps) = q / (sqrt(v) / d + eps)."""
    for p, g, z, v in zip(params, grads, s["z"], s["exp_avg_sq"]):
        z.sub_(p * decay)
        z.sub_(g / (v.sqrt().to(g.dtype).div_(d).add_(eps)) * q)
        p.add_((z - p) * c)


def _move(
    params: list[Tensor],
    grads: list[Tensor],
    s: States,
    d: Tensor,
    q: Tensor,
    decay: Tensor,
    c: Tensor,
    eps: float,
) -> None:
    z = s["z"]
    torch._foreach_sub_(z, torch._foreach_mul(params, decay))
    roots = in_type_of(grads, torch._foreach_sqrt(s["exp_avg_sq"]))
    torch._foreach_div_(roots, d)
    torch._foreach_add_(roots, eps)
    steps = torch._foreach_div(grads, roots)
    torch._foreach_mul_(steps, q)
    torch._foreach_sub_(z, steps)
    ahead = torch._foreach_sub(z, params)
    torch._foreach_mul_(ahead, c)
    torch._foreach_add_(params, ahead)
