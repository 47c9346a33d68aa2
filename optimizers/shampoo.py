"""What is Distributed Shampoo?  Each side of a block gets a preconditioner of its own, and the size
of a step comes from another rule ("grafting").

A tensor without its sides of size 1, neighbours merged while their product is at most D, cut into
blocks of at most D.  For each block B of o sides, with gradient G, at its n-th step (1, 2, ...):

    L_k <- b2 L_k + (1 - b2) G G^T over all sides but k              (b2 = 1: a plain sum)
    V <- b2 V + (1 - b2) G^2                                         (grafting "ADAM" alone)
    n = start, or n > start and n divisible by the frequency:
        I_k = (L_k / (1 - b2^n))^(-x / r),   r = 2 o or its override, by eigenvalues l + eps,
                                             lifted if the least is below 0
    m <- b1 m + (1 - b1) G;   h = (m, or b1 m + (1 - b1) G) / (1 - b1^n);   h = G for b1 = 0
    graft(h) = h / (sqrt(V / (1 - b2^n)) + grafting eps),  or h for "SGD"
    n < start:   d = graft(h)
    else:        d = h times I_0, I_1, ...;   d <- d ||graft(h)|| / (||d|| + 1e-16)
    d <- d + wd B                                                    (it enters the momentum)
    M <- mu M + (1 - mu) d;   d <- M, or (1 - mu) d + mu M           (Nesterov)
    B <- B - lr d

An eigendecomposition that fails is tried again in double precision; if that fails too, or a value
is not finite, the block keeps its I_k (the published code stops the training then).

Blocks are shared out over ranks by what they cost.  Each rank keeps the state of its own, so the
submission is optimizers.sharing.SharedStateSubmission, which saves them rank by rank.  Without
preconditioners (start = inf) every rank updates all.

Source: Gupta, Koren & Singer, arXiv 1802.09568.
Source: Anil et al., arXiv 2002.09018 (grafting, blocks, rare decompositions).
Source: Shi et al., arXiv 2309.06497 (this form).
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from optimizers.block_rule import (
    COMMUNICATION,
    Block,
    BlockRule,
    Plan,
    Shape,
    along_axes,
    gram,
    make_plans,
)
from optimizers.eigen import eigen
from optimizers.multi_tensor import check, check_settings

_NAMES = ("exp_avg", "exp_avg_sq", "momentum_buffer")  # m, V, M


class Shampoo(BlockRule):
    """The module's formula.

    Args:
        params: as torch.optim takes them.
        lr: learning rate; may be changed in the groups before every step.
        betas: (b1, b2); b2 may be 1.
        epsilon: added to the eigenvalues.
        momentum: mu; use_momentum: False for mu = 0.
        weight_decay: wd.
        max_preconditioner_dim: D.
        precondition_frequency: steps between two decompositions.
        start_preconditioning_step: the first; -1: as the frequency; inf: never.
        inv_root_override: r; 0: 2 o.
        exponent_multiplier: x.
        grafting_type: "ADAM" or "SGD".
        grafting_epsilon: of "ADAM".
        use_normalized_grafting: V is made from G / ||G||; in no published point.
        use_nadam: whether h looks ahead.
        use_nesterov: whether the momentum does.
        communication_dtype: in which blocks go to other ranks: FP32, BF16 or FP16; also on one
            rank, so that the number of ranks changes nothing.
        communicate_params: whether new parameters travel, or d.

    Raises:
        ValueError: a value out of range; at a step, a sparse gradient.
        RuntimeError: at a step, a loaded state that belongs to other ranks.
    """

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        epsilon: float = 1e-8,
        momentum: float = 0.0,
        weight_decay: float = 0.0,
        max_preconditioner_dim: int = 1024,
        precondition_frequency: int = 100,
        start_preconditioning_step: float = -1,
        inv_root_override: int = 0,
        exponent_multiplier: float = 1.0,
        grafting_type: str = "ADAM",
        grafting_epsilon: float = 1e-8,
        use_normalized_grafting: bool = False,
        use_momentum: bool = True,
        use_nadam: bool = True,
        use_nesterov: bool = True,
        communication_dtype: str = "FP32",
        communicate_params: bool = True,
    ) -> None:
        settings = {key: value for key, value in locals().items() if key in _SETTINGS}
        at_least_0 = {"lr": lr, "epsilon": epsilon, "weight_decay": weight_decay}
        check_settings(self, (betas[0],), 1, grafting_epsilon=grafting_epsilon, **at_least_0)
        check(self, "betas[1]", betas[1], 0.0 <= betas[1] <= 1.0, "a number from 0 to 1")
        good = 0.0 <= momentum < 1.0 or not use_momentum  # unused, it is 1 in published points
        check(self, "momentum", momentum, good, "a number from 0 to below 1")
        for name in ("max_preconditioner_dim", "precondition_frequency"):
            check(self, name, settings[name], settings[name] >= 1, "at least 1")
        known = grafting_type in ("ADAM", "SGD")
        check(self, "grafting_type", grafting_type, known, "'ADAM' or 'SGD'")
        kinds = ", ".join(COMMUNICATION)
        known = communication_dtype in COMMUNICATION
        check(self, "communication_dtype", communication_dtype, known, f"one of {kinds}")
        super().__init__(params, settings)

    def plan(self, shapes: tuple[Shape, ...], world: int, group: dict[str, Any]) -> Sequence[Plan]:
        if _start(group) == math.inf:
            return make_plans(shapes, None, 0, 0, world)  # by element: nothing to cut or to share
        side = group["max_preconditioner_dim"]
        return make_plans(shapes, side, side, side, world)

    def start(self, block: Tensor, group: dict[str, Any]) -> dict[str, Tensor]:
        wanted = (group["betas"][0] > 0, group["grafting_type"] == "ADAM", _mu(group) > 0)
        state = {
            name: torch.zeros(block.shape, dtype=block.dtype, device=block.device)
            for name, yes in zip(_NAMES, wanted)
            if yes
        }
        if _start(group) == math.inf:
            return state
        for axis, size in enumerate(block.shape):
            square = torch.zeros(size, size, dtype=block.dtype, device=block.device)
            state |= {f"factor_{axis}": square, f"root_{axis}": square.clone()}
        return state

    def directions(self, mine: list[Block], n: int, group: dict[str, Any]) -> list[Tensor]:
        if _start(group) < math.inf:
            _accumulate(mine, group["betas"][1])
            if _is_due(n, group):
                _decompose(mine, n, group)
        filtered = _filtered(mine, n, group)
        moves = _grafted(mine, filtered, n, group)
        if n >= _start(group):
            moves = [_preconditioned(*each) for each in zip(mine, filtered, moves)]
        if group["weight_decay"]:
            torch._foreach_add_(moves, [b.weight for b in mine], alpha=group["weight_decay"])
        return _with_momentum(mine, moves, group)


_SETTINGS = (
    *("lr", "betas", "epsilon", "momentum", "weight_decay", "max_preconditioner_dim"),
    *("precondition_frequency", "start_preconditioning_step", "inv_root_override"),
    *("exponent_multiplier", "grafting_type", "grafting_epsilon", "use_normalized_grafting"),
    *("use_momentum", "use_nadam", "use_nesterov", "communication_dtype", "communicate_params"),
)


def _start(group: dict[str, Any]) -> float:
    first: float = group["start_preconditioning_step"]
    return group["precondition_frequency"] if first == -1 else first


def _mu(group: dict[str, Any]) -> float:
    return group["momentum"] if group["use_momentum"] else 0.0


def _is_due(n: int, group: dict[str, Any]) -> bool:
    first = _start(group)
    return n == first or (n > first and n % group["precondition_frequency"] == 0)


def _correction(beta: float, n: int) -> float:
    return 1 - beta**n if beta < 1 else 1.0


def _accumulate(mine: list[Block], beta: float) -> None:
    """The statistics L of every side."""
    for block in mine:
        for axis in range(block.grad.dim()):
            left, right = gram(block.grad, axis)
            new = 1 - beta if beta < 1 else 1.0
            block.state[f"factor_{axis}"].addmm_(left, right, beta=beta, alpha=new)


def _decompose(mine: list[Block], n: int, group: dict[str, Any]) -> None:
    """New I of every side."""
    for block in mine:
        power = group["exponent_multiplier"]
        power /= group["inv_root_override"] or 2 * block.grad.dim()
        for axis in range(block.grad.dim()):
            mean = block.state[f"factor_{axis}"] / _correction(group["betas"][1], n)
            root = inverse_root(mean, power, group["epsilon"])
            if root is not None:
                block.state[f"root_{axis}"].copy_(root)


def inverse_root(matrix: Tensor, power: float, epsilon: float) -> Tensor | None:
    """The symmetric matrix [n, n], eigenvalues at least 0 plus epsilon, to the power -power; None
    if it cannot be had.
    """
    found = eigen(matrix)
    if found is None:
        return None
    values, vectors = found
    values = values - values.min().clamp(max=0) + epsilon
    root = ((vectors * values.pow(-power)) @ vectors.T).to(matrix.dtype)
    return root if bool(root.isfinite().all()) else None


def _filtered(mine: list[Block], n: int, group: dict[str, Any]) -> list[Tensor]:
    """h: the gradient through the first momentum."""
    beta, grads = group["betas"][0], [block.grad for block in mine]
    if not beta:
        return grads
    m = [block.state["exp_avg"] for block in mine]
    torch._foreach_lerp_(m, grads, 1 - beta)
    ahead = torch._foreach_lerp(grads, m, beta) if group["use_nadam"] else m
    return list(torch._foreach_div(ahead, 1 - beta**n))


def _grafted(
    mine: list[Block], filtered: list[Tensor], n: int, group: dict[str, Any]
) -> list[Tensor]:
    """The step whose size counts; of new memory."""
    if group["grafting_type"] == "SGD":
        return [h.clone() for h in filtered]
    beta, grads = group["betas"][1], [block.grad for block in mine]
    if group["use_normalized_grafting"]:
        grads = [g / g.norm().clamp(min=torch.finfo(g.dtype).tiny) for g in grads]
    v = [block.state["exp_avg_sq"] for block in mine]
    torch._foreach_mul_(v, beta)
    torch._foreach_addcmul_(v, grads, grads, 1 - beta if beta < 1 else 1.0)
    root = torch._foreach_div(v, _correction(beta, n))
    torch._foreach_sqrt_(root)
    torch._foreach_add_(root, group["grafting_epsilon"])
    return list(torch._foreach_div(filtered, root))


def _preconditioned(block: Block, h: Tensor, grafted: Tensor) -> Tensor:
    roots = [block.state[f"root_{axis}"] for axis in range(h.dim())]
    d = along_axes(h, roots)
    scaled: Tensor = d * (grafted.norm() / (d.norm() + 1e-16))
    return scaled


def _with_momentum(mine: list[Block], moves: list[Tensor], group: dict[str, Any]) -> list[Tensor]:
    mu = _mu(group)
    if not mu:
        return moves
    m = [block.state["momentum_buffer"] for block in mine]
    torch._foreach_lerp_(m, moves, 1 - mu)
    return list(torch._foreach_lerp(moves, m, mu if group["use_nesterov"] else 1.0))
