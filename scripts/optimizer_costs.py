"""What does an update compute, hold and send?  Counted from shapes, for bench_optimizers.py.

Only matrix products and decompositions are counted as floating-point operations; what is done by
element costs memory traffic instead.
"""

from collections.abc import Iterable
from math import prod
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.optim import Optimizer

from optimizers import muon
from optimizers.block_rule import BlockRule
from optimizers.matrix_view import rows_and_columns
from optimizers.muon import Muon
from optimizers.shampoo import Shampoo
from optimizers.soap import Soap

# n x n matrices, in n^3: eigenvalues and eigenvectors (Golub & Van Loan, section 8.3), and the
# product that makes a root of them; the product and the QR of one power iteration
_ROOT, _TURN = 9.0 + 2.0, 2.0 + 8 / 3


class Cost(NamedTuple):
    """Of one update over all parameters of an optimizer.

    Args:
        flops: of an ordinary step.
        rare_flops: more, in a step with decompositions.
        period: steps from one of those to the next; 1: there are none.
        sent: bytes that go round between ranks beside the gradient.
    """

    flops: float = 0.0
    rare_flops: float = 0.0
    period: int = 1
    sent: int = 0

    @property
    def mean_flops(self) -> float:
        """Of a step, over a period."""
        return self.flops + self.rare_flops / self.period

    def plus(self, other: "Cost") -> "Cost":
        """Of both; at most one of them has decompositions."""
        sums = [a + b for a, b in zip(self, other)]
        return Cost(sums[0], sums[1], max(self.period, other.period), int(sums[3]))


def cost(optimizers: Iterable[Optimizer]) -> Cost:
    """Of one step of all of them."""
    total = Cost()
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            params = [p for p in group["params"] if p.numel()]
            if isinstance(optimizer, Muon):
                total = total.plus(_muon(params, group))
            elif isinstance(optimizer, BlockRule):
                total = total.plus(_blocks(optimizer, params, group))
    return total


def _muon(params: list[Tensor], group: dict[str, Any]) -> Cost:
    steps = group["ns_steps"]
    flops = sum(muon.flops(rows_and_columns(p.shape), steps) for p in params)
    size = getattr(torch, group["ns_dtype"]).itemsize
    return Cost(flops, sent=size * sum(p.numel() for p in params))


def _blocks(rule: BlockRule, params: list[Tensor], group: dict[str, Any]) -> Cost:
    shapes = tuple(tuple(p.shape) for p in params)
    flops, cubes, sent = 0.0, 0.0, 0
    for plan in rule.plan(shapes, 1, group):
        for cut, owner in zip(plan.cuts, plan.owned_by):
            sides = [min(s.stop, size) - s.start for size, s in zip(plan.view, cut)]
            own = _with_matrix(rule, sides, group) if owner >= 0 else []
            products = 2 if isinstance(rule, Shampoo) else 4  # statistics; turned once or thrice
            flops += products * 2.0 * prod(sides) * sum(own)
            cubes += sum(side**3 for side in own)
            sent += 4 * prod(sides) if owner >= 0 else 0
    each = _ROOT if isinstance(rule, Shampoo) else _TURN
    period = group["precondition_frequency"] if cubes else 1
    return Cost(flops, each * cubes, period, sent)


def _with_matrix(rule: BlockRule, sides: list[int], group: dict[str, Any]) -> list[int]:
    if isinstance(rule, Soap) and sum(side > 1 for side in sides) < 2:
        return []
    return [side for side in sides if side <= group["max_preconditioner_dim"]]


def put_counters(optimizers: Iterable[Optimizer], rare: bool) -> None:
    """Make the next step one with decompositions, or an ordinary one long after the first."""
    for optimizer in optimizers:
        if not isinstance(optimizer, BlockRule):
            continue
        for group in optimizer.param_groups:
            period = group["precondition_frequency"]
            due = 3 * period - (0 if isinstance(optimizer, Soap) else 1)
            for p in group["params"]:
                if p in optimizer.state:
                    optimizer.state[p]["step"].fill_(due if rare else 2 * period + 1)


def state_bytes(states: Iterable[Any]) -> int:
    """Of all tensors in nested states, each memory once."""
    seen: dict[int, int] = {}

    def visit(value: Any) -> None:
        if isinstance(value, Tensor):
            seen[value.untyped_storage().data_ptr()] = value.numel() * value.element_size()
        elif isinstance(value, dict):
            for part in value.values():
                visit(part)
        elif isinstance(value, (list, tuple)):
            for part in value:
                visit(part)

    for state in states:
        visit(state)
    return sum(seen.values())
