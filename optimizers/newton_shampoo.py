"""What was the paper's Shampoo baseline meant to compute?  Preconditioned directions with the size
of normalised Adam's steps.

    q = g / (||g|| + 1e-25);   v <- b2 v + (1 - b2) q^2;   u = q / (sqrt(v) + 1e-8)       (grafting)

The tensor without its sides of size 1, neighbours merged while their product is at most 4096, is
cut into blocks of at most 1024.  For each block G of the gradient and each of its o sides:

    L <- b2 L + (1 - b2) G G^T over all other sides                       (from 1e-6 I)
    every `every` steps, the first included:
        P <- (L + 1e-6 10^i l I)^(-1 / (2 o)),   l the largest eigenvalue of L, by coupled Newton
             iteration, with i = 0, 1, ... 5 until its error is at most 0.05; a P with an error of
             0.1 or more is not taken
    d = G times P of every side                                           (P starts as I)

and for the whole tensor, with a momentum each, for s = u and for s = d ||u|| / (||d|| + 1e-25):

    w = s + wd theta;   m <- b1 m + (1 - b1) w;   step = (1 - b1) w + b1 m            (Nesterov)
    theta <- theta - lr step, that of u in the first `start` steps, then that of d

As archived the baseline never got there: optimizers/archived_shampoo.py is what ran, and
optimizers/shampoo.py is the one to use.  This one is here because its numbers are known.  Every
rank computes all of it.

Source: Anil et al., arXiv 2002.09018; Guo & Higham, "A Schur-Newton method for the matrix p-th root
and its inverse" (2006).
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from optimizers.block_rule import Block, BlockRule, Plan, Shape, along_axes, gram, make_plans
from optimizers.eigen import eigenvalues
from optimizers.matrix_view import blocks
from optimizers.multi_tensor import check, check_settings

TINY, EPSILON, RIDGE = 1e-25, 1e-8, 1e-6  # the archived file's, as all numbers below
MERGE, BLOCK = 4096, 1024  # longest merged side, longest side of a block
TRIES, GOOD, BAD = 6, 0.05, 0.1  # ridges; errors of a root
ROUNDS, TOLERANCE, GROWTH = 100, 1e-6, 1.2  # of the Newton iteration


class NewtonShampoo(BlockRule):
    """The module's formula.

    Args:
        params: as torch.optim takes them.
        lr: learning rate; may be changed in the groups before every step.
        betas: (b1, b2), each from 0 to below 1.
        weight_decay: wd.
        start: steps that are grafting alone.
        every: steps between two computations of roots.

    Raises:
        ValueError: a value out of range; at a step, a sparse gradient.
    """

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        weight_decay: float = 0.0,
        start: int = 101,
        every: int = 20,
    ) -> None:
        check_settings(self, betas, 2, lr=lr, weight_decay=weight_decay, start=start)
        check(self, "every", every, every >= 1, "at least 1")
        settings = {"lr": lr, "betas": tuple(betas), "weight_decay": weight_decay}
        super().__init__(params, {**settings, "start": start, "every": every})

    def plan(self, shapes: tuple[Shape, ...], world: int, group: dict[str, Any]) -> Sequence[Plan]:
        return make_plans(shapes, MERGE, 0, 0, world)

    def start(self, block: Tensor, group: dict[str, Any]) -> dict[str, Tensor]:
        names = ("exp_avg", "exp_avg_grafting", "exp_avg_sq")
        state = {name: torch.zeros_like(block).contiguous() for name in names}
        for number, cut in enumerate(blocks(block.shape, BLOCK)):
            for axis, size in enumerate(block[cut].shape):
                eye = torch.eye(size, dtype=block.dtype, device=block.device)
                state[f"factor_{number}_{axis}"] = RIDGE * eye
                state[f"root_{number}_{axis}"] = eye
        return state

    def directions(self, mine: list[Block], n: int, group: dict[str, Any]) -> list[Tensor]:
        return [_direction(block, n, group) for block in mine]


def _direction(block: Block, n: int, group: dict[str, Any]) -> Tensor:
    b1, b2 = group["betas"]
    q = block.grad / (block.grad.norm() + TINY)
    v = block.state["exp_avg_sq"].mul_(b2).addcmul_(q, q, value=1 - b2)
    grafting = q / (v.sqrt() + EPSILON)
    d = _preconditioned(block, (n - 1) % group["every"] == 0, b2)
    d *= grafting.norm() / (d.norm() + TINY)
    steps = []
    for update, name in ((grafting, "exp_avg_grafting"), (d, "exp_avg")):
        update = update.add(block.weight, alpha=group["weight_decay"])
        m = block.state[name].lerp_(update, 1 - b1)
        steps.append(update.lerp(m, b1))
    return steps[n > group["start"]]


def _preconditioned(block: Block, due: bool, beta: float) -> Tensor:
    """d, after statistics and, if they are due, roots."""
    d = torch.empty_like(block.grad)
    for number, cut in enumerate(blocks(block.grad.shape, BLOCK)):
        piece, roots = block.grad[cut], []
        for axis in range(piece.dim()):
            factor = block.state[f"factor_{number}_{axis}"]
            factor.addmm_(*gram(piece, axis), beta=beta, alpha=1 - beta)
            roots.append(block.state[f"root_{number}_{axis}"])
            if due:
                _renew(roots[-1], factor, 2 * piece.dim())
        d[cut] = along_axes(piece, roots)
    return d


def _renew(root: Tensor, factor: Tensor, p: int) -> None:
    """Put factor^(-1/p) into `root`, with the least ridge with which that succeeds."""
    values = eigenvalues(factor)
    if values is None:
        return
    largest = max(float(values[-1]), TINY)
    for number in range(TRIES):
        found, error = newton_root(factor, p, RIDGE * largest * 10**number)
        if error <= GOOD:
            break
    if error < BAD:  # false for NaN
        root.copy_(found)


def newton_root(matrix: Tensor, p: int, ridge: float) -> tuple[Tensor, float]:
    """(matrix + ridge I)^(-1/p) of a symmetric matrix [n, n], and the error of its p-th power.

    M goes to I and H to the root: M <- N^p M, H <- H N with N = ((p + 1) I - M) / p.
    """
    eye = torch.eye(len(matrix), dtype=matrix.dtype, device=matrix.device)
    damped = matrix + ridge * eye
    scale = (1 + p) / (2 * damped.norm())
    m, h = damped * scale, eye * scale ** (1 / p)
    error = _distance(m, eye)
    for _ in range(ROUNDS):
        if not error > TOLERANCE:
            break
        factor = (1 + 1 / p) * eye - m / p
        before, h_before = error, h
        m, h = torch.linalg.matrix_power(factor, p) @ m, h @ factor
        error = _distance(m, eye)
        if not error < GROWTH * before:
            return h_before, error
    return h, error


def _distance(m: Tensor, eye: Tensor) -> float:
    return float((m - eye).abs().max())
