"""How does AdamW train without a schedule that must know the end?  It judges an average of its
iterates, and takes gradients between the average and the last iterate.

    y = b1 x + (1 - b1) z,   g at y                    x: the parameters, z: state, at first x
    rate = max(lr, eps) sqrt(1 - b2^t),   v <- b2 v + (1 - b2) g^2
    V1:  z <- z - rate g / (sqrt(v) + eps),   z <- z - rate wd x
    V2:  z <- z - rate wd y,                  z <- z - rate g / (sqrt(v) + eps)
    x <- (1 - c) x + c z,   c = w_t / (w_1 + ... + w_t)
    V1:  w_t = t^r max(lr_1, ..., lr_t)^p,   v in bfloat16          V2:  w_t = lr_t^p

Weighted (dual averaging; K = t^r, w_t = K lr^p, v and z1 in bfloat16, z1: the first parameters):
    s <- s + K lr wd y + K lr g / (sqrt(v / (1 - b2^t)) + eps),   z = z1 - s / K

`step` needs a closure.  Between two steps the parameters hold x, which is what is judged.  lr is
read from the groups: a warm-up is a schedule as any other.  A parameter without a gradient goes
back to x with the others; the published V1 and V2 leave it at y, a little nearer to z each step.

The package schedulefree (1.4.1) is another rule: it decays by lr, not by `rate`, has v in the
parameters' type, and no dual averaging; after 20 steps of a small problem 1 to 40 % away.

Source: Defazio et al., arXiv 2405.15682 (V1, V2 as entered in AlgoPerf v0.5 and v0.6).
"""

import math
from collections.abc import Callable
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
    in_type_of,
    loss_of,
)


class ScheduleFree(MultiTensor):
    """What the rules below share: the closure at y, and the weights of the average.

    Args:
        params: as torch.optim takes them.
        lr: learning rate; may be changed in the groups before every step.
        betas: (b1, b2): share of x in y, above 0; decay of v.
        eps: added to the root; also the least learning rate of V1 and V2.
        weight_decay: decoupled.
        r: power of t in the weights.
        weight_lr_power: p, power of the learning rate in the weights.
        foreach: True for the multi-tensor form; False for the plain one.

    Raises:
        ValueError: a value out of range; at a step, a sparse gradient.
    """

    def __init__(
        self,
        params: Any,
        lr: float = 2.5e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        r: float = 0.0,
        weight_lr_power: float = 2.0,
        foreach: bool = True,
    ) -> None:
        at_least_0 = {"r": r, "weight_lr_power": weight_lr_power}
        check_settings(self, betas, 2, lr=lr, eps=eps, weight_decay=weight_decay, **at_least_0)
        check(self, "betas[0]", betas[0], betas[0] > 0, "above 0: y must hold a share of x")
        settings = {"lr": lr, "betas": tuple(betas), "eps": eps, "weight_decay": weight_decay}
        super().__init__(params, {**settings, **at_least_0, **self.scalars()}, foreach)

    def scalars(self) -> dict[str, Any]:
        """State of a group: number of steps, largest rate, sum of weights, last c."""
        return {"k": 0, "lr_max": 0.0, "weight_sum": 0.0, "c": 0.0}

    def start(self, p: Tensor, name: str) -> Tensor:
        if name in ("z", "z1", "p0"):
            return p.detach().clone().to(self.buffers[name] or p.dtype)
        return super().start(p, name)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any]) -> Any:  # type: ignore[override]
        """One update; `closure` puts gradients into `.grad` and returns the loss at y."""
        for group in self.param_groups:
            self._lerp(group["params"], 1 - group["betas"][0])
        loss = loss_of(closure)
        for group in self.param_groups:
            idle = [p for p in group["params"] if p.grad is None]
            self._lerp(idle, 1 - 1 / group["betas"][0])
        self.update()
        return loss

    def update(self) -> None:
        """From y and the gradients to the next x and z."""
        for group in self.param_groups:
            group["k"] += 1
            weight = self.weight(group)
            group["weight_sum"] += weight
            group["c"] = weight / group["weight_sum"] if weight else 0.0
        super().step()

    def weight(self, group: dict[str, Any]) -> float:
        """w_t of step t = group["k"]."""
        raise NotImplementedError

    def _lerp(self, params: list[Tensor], share: float) -> None:
        known = [p for p in params if self.state.get(p)]  # before its first gradient z is x
        if known:
            torch._foreach_lerp_(known, [self.state[p]["z"] for p in known], share)


class ScheduleFreeAdamWV1(ScheduleFree):
    """As entered in AlgoPerf v0.5, there with r = 0.75.  State: 6 bytes a parameter."""

    buffers = {"z": None, "exp_avg_sq": torch.bfloat16}  # z, v

    def weight(self, group: dict[str, Any]) -> float:
        group["lr_max"] = max(_floored(group), group["lr_max"])
        return float(group["k"] ** group["r"] * group["lr_max"] ** group["weight_lr_power"])

    def plain(self, p: Tensor, g: Tensor, s: State, t: int, group: dict[str, Any]) -> None:
        z, v = s["z"], s["exp_avg_sq"]
        b1, b2 = group["betas"]
        rate = _rate(t, group)
        p.lerp_(z, 1 - 1 / b1)
        v.mul_(b2).addcmul_(g, g, value=1 - b2)
        z.addcdiv_(g, v.sqrt().add_(group["eps"]), value=-rate)
        z.add_(p, alpha=-rate * group["weight_decay"])
        p.lerp_(z, group["c"])

    def fast(
        self, params: list[Tensor], grads: list[Tensor], s: States, t: int, group: dict[str, Any]
    ) -> None:
        z, v = s["z"], s["exp_avg_sq"]
        b1, b2 = group["betas"]
        rate = _rate(t, group)
        torch._foreach_lerp_(params, z, 1 - 1 / b1)
        add_squares_(v, grads, b2)
        roots = torch._foreach_sqrt(v)
        torch._foreach_add_(roots, group["eps"])
        torch._foreach_addcdiv_(z, grads, in_type_of(grads, roots), -rate)
        torch._foreach_add_(z, params, alpha=-rate * group["weight_decay"])
        torch._foreach_lerp_(params, z, group["c"])


class ScheduleFreeAdamWV2(ScheduleFree):
    """As entered in AlgoPerf v0.6 (r stays 0).  State: 8 bytes a parameter."""

    buffers = {"z": None, "exp_avg_sq": None}  # z, v

    def weight(self, group: dict[str, Any]) -> float:
        return float(group["k"] ** group["r"] * _floored(group) ** group["weight_lr_power"])

    def plain(self, p: Tensor, g: Tensor, s: State, t: int, group: dict[str, Any]) -> None:
        z, v = s["z"], s["exp_avg_sq"]
        b1, b2 = group["betas"]
        rate = _rate(t, group)
        y = p.clone()
        p.lerp_(z, 1 - 1 / b1)
        z.add_(y, alpha=-rate * group["weight_decay"])
        v.mul_(b2).addcmul_(g, g, value=1 - b2)
        z.addcdiv_(g, v.sqrt().add_(group["eps"]), value=-rate)
        p.lerp_(z, group["c"])

    def fast(
        self, params: list[Tensor], grads: list[Tensor], s: States, t: int, group: dict[str, Any]
    ) -> None:
        z, v = s["z"], s["exp_avg_sq"]
        b1, b2 = group["betas"]
        rate = _rate(t, group)
        decay = torch._foreach_mul(params, -rate * group["weight_decay"])  # at y, for the new z
        torch._foreach_lerp_(params, z, 1 - 1 / b1)
        torch._foreach_add_(z, decay)
        add_squares_(v, grads, b2)
        roots = torch._foreach_sqrt(v)
        torch._foreach_add_(roots, group["eps"])
        torch._foreach_addcdiv_(z, grads, roots, -rate)
        torch._foreach_lerp_(params, z, group["c"])


class WeightedScheduleFreeAdamW(ScheduleFree):
    """As entered in AlgoPerf v0.6, there with r = 1.  State: 12 bytes a parameter."""

    buffers = {"z": None, "exp_avg_sq": torch.bfloat16, "z1": torch.bfloat16, "s": None}

    def weight(self, group: dict[str, Any]) -> float:
        return float(group["k"] ** group["r"] * group["lr"] ** group["weight_lr_power"])

    def plain(self, p: Tensor, g: Tensor, s: State, t: int, group: dict[str, Any]) -> None:
        z, v, total = s["z"], s["exp_avg_sq"], s["s"]
        b1, b2 = group["betas"]
        k = group["k"] ** group["r"]
        total.add_(p, alpha=k * group["weight_decay"] * group["lr"])
        p.lerp_(z, 1 - 1 / b1)
        v.mul_(b2).addcmul_(g, g, value=1 - b2)
        root = v.div(1 - b2**t).sqrt_().add_(group["eps"])
        total.addcdiv_(g, root, value=k * group["lr"])
        torch.sub(s["z1"].to(z.dtype), total, alpha=1 / k, out=z)
        p.lerp_(z, group["c"])

    def fast(
        self, params: list[Tensor], grads: list[Tensor], s: States, t: int, group: dict[str, Any]
    ) -> None:
        z, v, total = s["z"], s["exp_avg_sq"], s["s"]
        b1, b2 = group["betas"]
        k = group["k"] ** group["r"]
        torch._foreach_add_(total, params, alpha=k * group["weight_decay"] * group["lr"])
        torch._foreach_lerp_(params, z, 1 - 1 / b1)
        add_squares_(v, grads, b2)
        roots = torch._foreach_div(v, 1 - b2**t)
        torch._foreach_sqrt_(roots)
        torch._foreach_add_(roots, group["eps"])
        torch._foreach_addcdiv_(total, grads, in_type_of(grads, roots), k * group["lr"])
        torch._foreach_copy_(z, s["z1"])
        torch._foreach_sub_(z, total, alpha=1 / k)
        torch._foreach_lerp_(params, z, group["c"])


def _floored(group: dict[str, Any]) -> float:
    return max(float(group["lr"]), float(group["eps"]))


def _rate(t: int, group: dict[str, Any]) -> float:
    return _floored(group) * math.sqrt(1 - group["betas"][1] ** t)
