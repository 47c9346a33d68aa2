"""What is SOAP?  Adam in the eigenbasis of Shampoo's preconditioners, which is kept up to date by a
step of power iteration now and then.

For a tensor W with gradient G, seen as [out, rest] (or with neighbouring sides merged), at its n-th
step; Q_k is the basis of side k, or nothing where the side is longer than `max_preconditioner_dim`:

    n = 1:  L_k = (1 - b3) G G^T over all sides but k;  Q_k = its eigenvectors, those of the largest
            eigenvalues first;  W stays, because a basis made from G alone fits G too well
    n > 1, with t = n - 1:
        G' = G times Q_0, Q_1, ...                                    (rotated)
        m <- b1 m + (1 - b1) G;   v <- b2 v + (1 - b2) G'^2
        N' = (m rotated / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps)
        W <- W - lr (N' rotated back + wd W)
        L_k <- b3 L_k + (1 - b3) G G^T
        t divisible by f:  the columns of Q_k, and v along side k, are put in the order of falling
            Q_k^T L_k Q_k on its diagonal;  Q_k <- the orthogonal factor of L_k Q_k

A tensor of one side, and one without a side that is short enough, gets Adam from its first step on.

Tensors are shared out over ranks by what they cost; each rank keeps the state of its own, so the
submission is optimizers.sharing.SharedStateSubmission.

Source: Vyas et al., arXiv 2409.11321, algorithm 3; the first step, the order of the columns and the
sides that are left out as in the authors' code.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from optimizers.block_rule import Block, BlockRule, Plan, Shape, along_axes, gram, make_plans
from optimizers.eigen import eigen
from optimizers.multi_tensor import check, check_settings


class Soap(BlockRule):
    """The module's formula.

    Args:
        params: as torch.optim takes them.
        lr: learning rate; may be changed in the groups before every step.
        betas: (b1, b2, b3).
        eps: added to the root, after the bias correction.
        weight_decay: wd.
        precondition_frequency: f.
        max_preconditioner_dim: longest side that has a basis.
        merge_dims: neighbouring sides are merged while their product is at most this; None: the
            tensor is seen as [out, rest].

    Raises:
        ValueError: a value out of range; at a step, a sparse gradient.
        RuntimeError: at a step, a loaded state that belongs to other ranks.
    """

    def __init__(
        self,
        params: Any,
        lr: float = 3e-3,
        betas: tuple[float, float, float] = (0.95, 0.95, 0.95),
        eps: float = 1e-8,
        weight_decay: float = 0.01,
        precondition_frequency: int = 10,
        max_preconditioner_dim: int = 10_000,
        merge_dims: int | None = None,
    ) -> None:
        check_settings(self, betas, 3, lr=lr, eps=eps, weight_decay=weight_decay)
        settings = {"lr": lr, "betas": tuple(betas), "eps": eps, "weight_decay": weight_decay}
        sizes = {
            "precondition_frequency": precondition_frequency,
            "max_preconditioner_dim": max_preconditioner_dim,
            "merge_dims": merge_dims,
        }
        for name, value in sizes.items():
            check(self, name, value, value is None or value >= 1, "at least 1")
        super().__init__(params, {**settings, **sizes})

    def plan(self, shapes: tuple[Shape, ...], world: int, group: dict[str, Any]) -> Sequence[Plan]:
        return make_plans(shapes, group["merge_dims"], 0, group["max_preconditioner_dim"], world)

    def start(self, block: Tensor, group: dict[str, Any]) -> dict[str, Tensor]:
        zeros = torch.zeros(block.shape, dtype=block.dtype, device=block.device)
        state = {"exp_avg": zeros, "exp_avg_sq": zeros.clone()}
        if sum(size > 1 for size in block.shape) < 2:
            return state
        for axis, size in enumerate(block.shape):
            if size <= group["max_preconditioner_dim"]:
                square = torch.zeros(size, size, dtype=block.dtype, device=block.device)
                state |= {f"factor_{axis}": square, f"basis_{axis}": square.clone()}
        return state

    def directions(self, mine: list[Block], n: int, group: dict[str, Any]) -> list[Tensor]:
        turned = [block for block in mine if any(basis is not None for basis in _bases(block))]
        of = {id(block) for block in turned}
        plain = [block for block in mine if id(block) not in of]
        found = dict(zip(map(id, plain), _adam(plain, n, group)))
        if n == 1:
            found |= {id(block): torch.zeros_like(block.grad) for block in turned}
        else:
            found |= dict(zip(map(id, turned), _adam(turned, n - 1, group)))
        for block in turned:
            _accumulate(block, group["betas"][2])
            if n == 1:
                _first_basis(block)
            elif (n - 1) % group["precondition_frequency"] == 0:
                _turn_basis(block)
        return [found[id(block)] for block in mine]


def _bases(block: Block) -> list[Tensor | None]:
    """The basis of each side; None: it is left as it is."""
    return [block.state.get(f"basis_{axis}") for axis in range(block.grad.dim())]


def _adam(mine: list[Block], t: int, group: dict[str, Any]) -> list[Tensor]:
    """Adam's directions in the bases, rotated back, and the decay."""
    if not mine:
        return []
    m, v = ([block.state[name] for block in mine] for name in ("exp_avg", "exp_avg_sq"))
    b1, b2, _ = group["betas"]
    turned = [along_axes(block.grad, _bases(block)) for block in mine]
    torch._foreach_lerp_(m, [block.grad for block in mine], 1 - b1)
    torch._foreach_mul_(v, b2)
    torch._foreach_addcmul_(v, turned, turned, 1 - b2)
    root = torch._foreach_div(v, 1 - b2**t)
    torch._foreach_sqrt_(root)
    torch._foreach_add_(root, group["eps"])
    moves = [along_axes(each, _bases(block)) for each, block in zip(m, mine)]
    moves = list(torch._foreach_div(moves, 1 - b1**t))
    torch._foreach_div_(moves, root)
    back = [along_axes(move, _transposed(_bases(block))) for move, block in zip(moves, mine)]
    torch._foreach_add_(back, [block.weight for block in mine], alpha=group["weight_decay"])
    return back


def _transposed(bases: Sequence[Tensor | None]) -> list[Tensor | None]:
    return [None if basis is None else basis.T for basis in bases]


def _accumulate(block: Block, beta: float) -> None:
    for axis in range(block.grad.dim()):
        if f"factor_{axis}" in block.state:
            left, right = gram(block.grad, axis)
            block.state[f"factor_{axis}"].addmm_(left, right, beta=beta, alpha=1 - beta)


def _first_basis(block: Block) -> None:
    for axis in range(block.grad.dim()):
        if f"factor_{axis}" in block.state:
            basis, found = block.state[f"basis_{axis}"], eigen(block.state[f"factor_{axis}"])
            if found is None:  # power iteration starts from any basis
                basis.fill_(0.0).fill_diagonal_(1.0)
            else:
                basis.copy_(found[1].flip(1))


def _turn_basis(block: Block) -> None:
    """One step of power iteration for each side; v moves with the columns."""
    v = block.state["exp_avg_sq"]
    for axis, basis in enumerate(_bases(block)):
        if basis is None:
            continue
        product = block.state[f"factor_{axis}"] @ basis
        order = (basis * product).sum(0).argsort(descending=True)
        v.copy_(v.index_select(axis, order))
        basis.copy_(torch.linalg.qr(product[:, order]).Q)
