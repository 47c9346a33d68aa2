"""What is Muon?  Momentum whose matrices are made orthogonal: all singular values close to 1.

    m <- b m + (1 - b) g
    u = b m + (1 - b) g  (Nesterov),  or m
    O = NS(u as [out, rest])
    theta <- theta (1 - lr wd) - lr s O

NS, five times: X <- a X + (b A + c A A) X with A = X X^T and (a, b, c) = (3.4445, -4.7750, 2.0315),
from X = u / (||u|| + 1e-7), transposed where there are more rows than columns.

`scale` is s, for a tensor [d0, d1, ...] seen as [rows = d0, columns = the product of the others]:

    "spectral_norm"   max(1, sqrt(d0 / d1))            a convolution's kernel size does not count
    "match_adam"      0.2 sqrt(max(d0, d1))
    "in_out"          max(1, sqrt(columns / rows))     for matrices stored as [in, out]
    None              1

The JAX form of the algorithm writes theta - lr (s O + wd theta), which is the same, and has float32
products and "in_out".  torch.optim.Muon takes tensors of two dimensions alone, always computes NS
in bfloat16, and clamps the norm where we add to it.

Ranks share NS, the costly part: each does its tensors, and the O go round.  The momentum is kept on
all of them.

Source: Jordan et al., "Muon: an optimizer for hidden layers in neural networks" (2024).
Source: Liu et al., arXiv 2502.16982 (decoupled decay, "match_adam").
"""

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from optimizers.matrix_view import as_matrix, rows_and_columns
from optimizers.multi_tensor import check, check_settings, loss_of, refuse_sparse, scale_
from optimizers.sharing import exchange, owners, ranks

COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # steepest at 0 for five steps: Jordan et al.
_TOGETHER = 1 << 26  # most elements of a batch of matrices: 128 MB of bfloat16
_SMALL = 1 << 14  # on a CPU larger matrices are not faster in batches


class Muon(Optimizer):
    """The module's formula.

    Args:
        params: as torch.optim takes them; vectors are matrices of one row, and better left to
            another rule.
        lr: learning rate; may be changed in the groups before every step.
        beta: of the momentum, from 0 to below 1.
        weight_decay: decoupled; multiplied by the learning rate, not by s.
        nesterov: whether u looks ahead.
        scale: s, as above.
        ns_steps: rounds of NS.
        ns_eps: added to the norm.
        ns_dtype: of NS: "bfloat16" (published) or "float32".

    Raises:
        ValueError: a value out of range; at a step, a sparse gradient.
    """

    def __init__(
        self,
        params: Any,
        lr: float = 0.02,
        beta: float = 0.95,
        weight_decay: float = 0.0,
        nesterov: bool = True,
        scale: str | None = "spectral_norm",
        ns_steps: int = 5,
        ns_eps: float = 1e-7,
        ns_dtype: str = "bfloat16",
    ) -> None:
        check_settings(self, (beta,), 1, lr=lr, weight_decay=weight_decay, ns_eps=ns_eps)
        check(self, "scale", scale, scale in SCALES, f"one of {', '.join(map(repr, SCALES))}")
        check(self, "ns_steps", ns_steps, ns_steps >= 1, "at least 1")
        known = ns_dtype in ("bfloat16", "float32")
        check(self, "ns_dtype", ns_dtype, known, "'bfloat16' or 'float32'")
        names = ("lr", "beta", "weight_decay", "nesterov", "scale", "ns_steps", "ns_eps")
        values = (lr, beta, weight_decay, nesterov, scale, ns_steps, ns_eps)
        super().__init__(params, dict(zip(names, values)) | {"ns_dtype": ns_dtype})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update every parameter that has a gradient; returns what `closure` returns."""
        loss = loss_of(closure)
        for group in self.param_groups:
            live = [p for p in group["params"] if p.grad is not None and p.numel()]
            refuse_sparse(self, live)
            if live:
                self._update(live, group)
        return loss

    def describe(self, p: Tensor) -> str:
        """The matrix as which a parameter is seen: "256 x 1152"."""
        return " x ".join(map(str, rows_and_columns(p.shape)))

    def _update(self, params: list[Tensor], group: dict[str, Any]) -> None:
        directions = orthogonal(self._momentum(params, group), group)
        if group["weight_decay"]:
            scale_(params, 1 - group["lr"] * group["weight_decay"])
        factor = SCALES[group["scale"]]
        for p, direction in zip(params, directions):
            p.add_(direction.view(p.shape), alpha=-group["lr"] * factor(p.shape))

    def _momentum(self, params: list[Tensor], group: dict[str, Any]) -> list[Tensor]:
        grads = [p.grad.to(p.dtype) for p in params]  # type: ignore[union-attr]
        for p in params:
            if "exp_avg" not in self.state[p]:
                kept = torch.zeros_like(p, memory_format=torch.preserve_format)
                self.state[p]["exp_avg"] = kept
        m = [self.state[p]["exp_avg"] for p in params]
        torch._foreach_lerp_(m, grads, 1 - group["beta"])
        return list(torch._foreach_lerp(grads, m, group["beta"])) if group["nesterov"] else m


def orthogonal(tensors: Sequence[Tensor], group: dict[str, Any]) -> list[Tensor]:
    """NS of each tensor, as [rows, columns], by the rank that owns it; all ranks get all."""
    rank, world = ranks()
    shapes = [rows_and_columns(t.shape) for t in tensors]
    owned_by = owners([flops(shape) for shape in shapes], world)
    dtype = getattr(torch, group["ns_dtype"])
    found = [torch.empty(0)] * len(tensors)
    alike: dict[Any, list[int]] = defaultdict(list)
    for number, (tensor, shape, owner) in enumerate(zip(tensors, shapes, owned_by)):
        if owner != rank:
            found[number] = torch.empty(shape, dtype=dtype, device=tensor.device)
        else:
            alike[shape, tensor.device].append(number)
    for (shape, device), numbers in alike.items():
        size = _at_once(math.prod(shape), device)
        for at in range(0, len(numbers), size):
            part = numbers[at : at + size]
            batch = torch.stack([as_matrix(tensors[number]).to(dtype) for number in part])
            result = newton_schulz(batch, group["ns_steps"], group["ns_eps"])
            for number, matrix in zip(part, result):
                found[number] = matrix.contiguous()
    exchange(found, owned_by)
    return found


def _at_once(elements: int, device: torch.device) -> int:
    """Matrices of so many elements in a batch."""
    if device.type == "cpu" and elements > _SMALL:
        return 1
    return max(1, _TOGETHER // elements)


def newton_schulz(batch: Tensor, steps: int = 5, eps: float = 1e-7) -> Tensor:
    """[N, rows, columns] with singular values close to 1, in the dtype of `batch`."""
    a, b, c = COEFFICIENTS
    tall = batch.shape[-2] > batch.shape[-1]
    x: Tensor = batch.mT if tall else batch
    x = x / (x.flatten(-2).norm(dim=-1)[..., None, None] + eps)
    for _ in range(steps):
        gram = x @ x.mT
        polynomial = b * gram + c * (gram @ gram)
        x = a * x + polynomial @ x
    return x.mT if tall else x


def flops(shape: tuple[int, int], steps: int = 5) -> float:
    """Floating-point operations of NS on [rows, columns]."""
    short, long = sorted(shape)
    return steps * (4.0 * short * short * long + 2.0 * short**3)


def _spectral_norm(shape: Sequence[int]) -> float:
    return max(1.0, math.sqrt(_two(shape)[0] / _two(shape)[1]))


def _match_adam(shape: Sequence[int]) -> float:
    return 0.2 * math.sqrt(max(_two(shape)))


def _in_out(shape: Sequence[int]) -> float:
    rows, columns = rows_and_columns(shape)
    return max(1.0, math.sqrt(columns / rows))


def _two(shape: Sequence[int]) -> tuple[int, int]:
    """The first two dimensions; those of one row for a vector."""
    return (shape[0], shape[1]) if len(shape) > 1 else rows_and_columns(shape)


SCALES: dict[str | None, Callable[[Sequence[int]], float]] = {
    "spectral_norm": _spectral_norm,
    "match_adam": _match_adam,
    "in_out": _in_out,
    None: lambda shape: 1.0,
}
