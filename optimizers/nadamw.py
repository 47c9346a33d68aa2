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
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

Tensors = tuple[list[Tensor], list[Tensor], list[Tensor], list[Tensor]]  # parameters, g, m, v
Kind = tuple[torch.device, torch.dtype, int]  # one update each: device, dtype, step number t

_CACHED = 1 << 18  # elements of a part on a CPU: 1 MB of float32 each of p, g, m and v
_LARGE = 1 << 26  # elements of a part elsewhere: 256 MB for the temporary


class NAdamW(Optimizer):
    """The module's formula, as one multi-tensor update per group.

    Args:
        params: as torch.optim takes them.
        lr: learning rate; may be changed in the groups before every step.
        betas: (b1, b2), each from 0 to below 1.
        eps: added to the root, after the bias correction.
        weight_decay: decoupled; multiplied by the learning rate.
        foreach: True for the multi-tensor form; False for the plain one (a test holds them equal).

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
        foreach: bool = True,
    ) -> None:
        for name, value in (("lr", lr), ("eps", eps), ("weight_decay", weight_decay)):
            _check(name, value, 0.0 <= value < math.inf, "a finite number of at least 0")
        _check("betas", betas, len(betas) == 2, "two numbers (b1, b2)")
        for number, beta in enumerate(betas):
            _check(f"betas[{number}]", beta, 0.0 <= beta < 1.0, "a number from 0 to below 1")
        settings = {"lr": lr, "betas": tuple(betas), "eps": eps, "weight_decay": weight_decay}
        super().__init__(params, {**settings, "foreach": foreach})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update every parameter that has a gradient; returns what `closure` returns."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            update = _foreach_update if group["foreach"] else _plain_update
            for (device, _, t), tensors in self._count_and_sort(group["params"]).items():
                for part in _parts(tensors, _CACHED if device.type == "cpu" else _LARGE):
                    update(*part, t, group)
        return loss

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Bring the counters of a checkpoint back to the CPU, wherever it was mapped to."""
        super().__setstate__(state)
        for s in self.state.values():
            s["step"] = torch.as_tensor(s["step"], dtype=torch.float32, device="cpu")

    def _count_and_sort(self, params: list[Tensor]) -> dict[Kind, Tensors]:
        """Add 1 to the step counters, then sort what one multi-tensor update can take together."""
        live = [p for p in params if p.grad is not None]
        if any(p.grad.is_sparse for p in live):  # type: ignore[union-attr]
            raise ValueError(
                "NAdamW: a gradient is sparse, expected dense ones: use Embedding(sparse=False)"
            )
        states = [self.state[p] or self._start(p) for p in live]
        if not states:
            return {}
        # the counters live on the CPU, so reading them never waits for a GPU; a tensor as the
        # addend, because a Python number would be wrapped into a new tensor for each of them
        torch._foreach_add_([state["step"] for state in states], torch.ones(()))
        kinds: dict[Kind, Tensors] = defaultdict(lambda: ([], [], [], []))
        for p, state in zip(live, states):
            params_, grads, m, v = kinds[p.device, p.dtype, int(state["step"].item())]
            params_.append(p)
            grads.append(p.grad.to(p.dtype))  # type: ignore[union-attr]  # a no-op where they agree
            m.append(state["exp_avg"])
            v.append(state["exp_avg_sq"])
        return kinds

    def _start(self, p: Tensor) -> dict[str, Any]:
        state: dict[str, Any] = self.state[p]
        state["step"] = torch.zeros((), dtype=torch.float32, device="cpu")
        state["exp_avg"] = torch.zeros_like(p, memory_format=torch.preserve_format)
        state["exp_avg_sq"] = torch.zeros_like(p, memory_format=torch.preserve_format)
        return state


def _parts(tensors: Tensors, size: int) -> Iterator[Tensors]:
    """The same elements, those of large tensors in parts: they stay in a CPU's cache during an
    update, and the temporary needs no second table.  Every operation is by element, so nothing else
    changes.
    """
    rest: Tensors = ([], [], [], [])
    for same in zip(*tensors):
        if same[0].numel() <= size or not all(t.is_contiguous() for t in same):
            for kind, tensor in zip(rest, same):
                kind.append(tensor)
        else:
            for p, g, m, v in zip(*(t.view(-1).split(size) for t in same)):
                yield [p], [g], [m], [v]
    if rest[0]:
        yield rest


def _foreach_update(
    params: list[Tensor],
    grads: list[Tensor],
    m: list[Tensor],
    v: list[Tensor],
    t: int,
    group: dict[str, Any],
) -> None:
    """The formula on lists: a fixed number of calls, whatever the number of tensors."""
    b1, b2 = group["betas"]
    s, rate = _scalars(t, group)
    if group["weight_decay"]:
        _foreach_scale(params, 1 - group["lr"] * group["weight_decay"])
    torch._foreach_lerp_(m, grads, 1 - b1)
    _foreach_scale(v, b2)
    torch._foreach_addcmul_(v, grads, grads, 1 - b2)
    root = torch._foreach_sqrt(v)
    torch._foreach_add_(root, s * group["eps"])
    torch._foreach_addcdiv_(params, m, root, -rate * b1)
    torch._foreach_addcdiv_(params, grads, root, -rate * (1 - b1))


def _plain_update(
    params: list[Tensor],
    grads: list[Tensor],
    m: list[Tensor],
    v: list[Tensor],
    t: int,
    group: dict[str, Any],
) -> None:
    """The formula, tensor by tensor."""
    b1, b2 = group["betas"]
    s, rate = _scalars(t, group)
    for theta, g, m_, v_ in zip(params, grads, m, v):
        theta.mul_(1 - group["lr"] * group["weight_decay"])
        m_.lerp_(g, 1 - b1)
        v_.mul_(b2).addcmul_(g, g, value=1 - b2)
        root = v_.sqrt().add_(s * group["eps"])
        theta.addcdiv_(m_, root, value=-rate * b1)
        theta.addcdiv_(g, root, value=-rate * (1 - b1))


def _foreach_scale(tensors: list[Tensor], factor: float) -> None:
    """Multiply in place by a factor that keeps the precision of the arithmetic.

    On a CPU `_foreach_mul_` rounds a Python number to the tensors' type first: 0.998 becomes 0.996
    in bfloat16, which doubles a decay.  A tensor of the arithmetic's own type stays exact.
    """
    if tensors[0].device.type != "cpu":
        torch._foreach_mul_(tensors, factor)
        return
    arithmetic = torch.promote_types(tensors[0].dtype, torch.float32)
    torch._foreach_mul_(tensors, torch.tensor(factor, dtype=arithmetic))


def _scalars(t: int, group: dict[str, Any]) -> tuple[float, float]:
    """s = sqrt(1 - b2^t) and the rate lr s / (1 - b1^t) that follows from pulling it out."""
    b1, b2 = group["betas"]
    s = math.sqrt(1 - b2**t)
    return s, group["lr"] * s / (1 - b1**t)


def _check(name: str, value: Any, good: bool, expected: str) -> None:
    if not good:
        raise ValueError(f"NAdamW: {name} = {value!r}, expected {expected}")
