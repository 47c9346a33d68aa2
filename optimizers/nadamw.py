"""NAdamW: Adam with Nesterov's look-ahead and decoupled weight decay; one multi-tensor update a
step.

    theta <- theta (1 - lr wd)
    m <- b1 m + (1 - b1) g,   v <- b2 v + (1 - b2) g^2
    ahead = b1 m + (1 - b1) g                                   (one more momentum step, not stored)
    theta <- theta - lr (ahead / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps),   t = 1, 2, ...

Sources: Dozat, "Incorporating Nesterov momentum into Adam" (2016); Loshchilov & Hutter, arXiv
1711.05101; the form with Adam's plain bias correction is the one of arXiv 2306.07179.  It differs
from torch.optim.NAdam, which has a schedule of its momentum.
"""

import math
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

Update = tuple[
    list[Tensor], list[Tensor], list[Tensor], list[Tensor]
]  # parameters, gradients, m, v


class NAdamW(Optimizer):
    """See the module's formula.

    Args:
        params: as torch.optim takes them.
        lr: learning rate; may be changed in the groups at every step.
        betas: (b1, b2), each in [0, 1).
        eps: added to the root, after the bias correction.
        weight_decay: decoupled; multiplied by the learning rate.
        foreach: True for the multi-tensor form; False for the plain one, which a test holds equal
            to it.

    Raises:
        ValueError: a value out of range, or a sparse gradient.
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
        _check("lr", lr, lr >= 0, "at least 0")
        _check("eps", eps, eps >= 0, "at least 0")
        _check("weight_decay", weight_decay, weight_decay >= 0, "at least 0")
        for number, beta in enumerate(betas):
            _check(f"betas[{number}]", beta, 0 <= beta < 1, "from 0 to below 1")
        defaults = dict(
            lr=lr, betas=tuple(betas), eps=eps, weight_decay=weight_decay, foreach=foreach
        )
        super().__init__(params, defaults)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:  # type: ignore[override]
        """One update of every parameter that has a gradient."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            update = _foreach_update if group["foreach"] else _plain_update
            for (_, _, t), tensors in self._by_kind(group["params"]).items():
                update(tensors, t, group)
        return loss

    def _by_kind(self, params: list[Tensor]) -> dict[tuple[torch.device, torch.dtype, int], Update]:
        """Parameters with gradients by (device, dtype, their step number), with their state; counts
        the step.
        """
        kinds: dict[tuple[torch.device, torch.dtype, int], Update] = defaultdict(
            lambda: ([], [], [], [])
        )
        for p in params:
            if p.grad is None:
                continue
            state = self.state[p]
            if not state:
                self._start(p, state)
            state["step"] += 1
            lists = kinds[p.device, p.dtype, state["step"]]
            for tensors, tensor in zip(lists, (p, p.grad, state["exp_avg"], state["exp_avg_sq"])):
                tensors.append(tensor)
        return kinds

    @staticmethod
    def _start(p: Tensor, state: dict[str, Any]) -> None:
        assert p.grad is not None
        if p.grad.is_sparse:
            raise ValueError(
                "NAdamW takes dense gradients; this one is sparse: use Embedding(sparse=False)"
            )
        state["step"] = 0
        state["exp_avg"] = torch.zeros_like(p, memory_format=torch.preserve_format)
        state["exp_avg_sq"] = torch.zeros_like(p, memory_format=torch.preserve_format)


def _foreach_update(tensors: Update, t: int, group: dict[str, Any]) -> None:
    """The formula on lists: a fixed number of kernels, whatever the number of tensors."""
    params, grads, m, v = tensors
    lr, (b1, b2) = group["lr"], group["betas"]
    if group["weight_decay"]:
        torch._foreach_mul_(params, 1 - lr * group["weight_decay"])
    torch._foreach_lerp_(m, grads, 1 - b1)
    torch._foreach_mul_(v, b2)
    torch._foreach_addcmul_(v, grads, grads, 1 - b2)
    ahead = torch._foreach_lerp(m, grads, 1 - b1)
    root = torch._foreach_sqrt(v)
    torch._foreach_div_(root, math.sqrt(1 - b2**t))
    torch._foreach_add_(root, group["eps"])
    torch._foreach_addcdiv_(params, ahead, root, -lr / (1 - b1**t))


def _plain_update(tensors: Update, t: int, group: dict[str, Any]) -> None:
    """The formula as it is read."""
    lr, (b1, b2) = group["lr"], group["betas"]
    for p, g, m, v in zip(*tensors):
        p.mul_(1 - lr * group["weight_decay"])
        m.lerp_(g, 1 - b1)
        v.mul_(b2).addcmul_(g, g, value=1 - b2)
        ahead = m.lerp(g, 1 - b1)
        root = v.sqrt().div_(math.sqrt(1 - b2**t)).add_(group["eps"])
        p.addcdiv_(ahead, root, value=-lr / (1 - b1**t))


def _check(name: str, value: float, good: bool, expected: str) -> None:
    if not good:
        raise ValueError(f"NAdamW: {name} = {value!r}, expected {expected}")
