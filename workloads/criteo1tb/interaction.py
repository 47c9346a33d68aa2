"""How do the features meet?  In the products of all pairs of their vectors, made without copies.

Shapes: B batch, F = S + 1 vectors of width D (one of the numbers, S of categories).
Source: Naumov et al. 2019 (https://arxiv.org/abs/1906.00091), section 2.1.
"""

from typing import Any

import torch
from torch import Tensor, nn

_CPU_ROWS = 128  # rows at once on a CPU: 2 MB of vectors stay in its cache; a GPU takes all


class Interaction(nn.Module):
    """Products of each vector with itself and with every later one.

    Args:
        count: F vectors.
    """

    def __init__(self, count: int) -> None:
        super().__init__()
        row, column = torch.triu_indices(count, count)
        pairs = torch.empty(count, count, dtype=torch.int64)
        pairs[row, column] = pairs[column, row] = torch.arange(len(row))
        self.register_buffer("places", row * count + column, persistent=False)
        self.register_buffer("pairs", pairs.flatten(), persistent=False)
        self.register_buffer("times", 1 + (row == column).long(), persistent=False)

    def forward(self, first: Tensor, others: Tensor) -> Tensor:
        """[B, D], [B, S, D] -> [B, F (F + 1) / 2], by rows of the upper triangle."""
        found: Tensor = _Products.apply(first, others, self.places, self.pairs, self.times)
        return found

    @staticmethod
    def width(count: int) -> int:
        """Number of products of `count` vectors."""
        return count * (count + 1) // 2


class _Products(torch.autograd.Function):
    """Keeps its inputs alone for the backward pass, which is one matrix product, not two: the
    gradient of V V^T is (G + G^T) V, and G + G^T is read from the pairs' gradients.

    `places` [P]: of the pairs in a row of F x F products; `pairs` [F F]: the pair of each place;
    `times` [P]: how often a pair's gradient counts, 2 for a vector with itself.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(first: Tensor, others: Tensor, places: Tensor, pairs: Tensor, times: Tensor) -> Any:
        rows = _rows(first)
        parts = zip(first.split(rows), others.split(rows))
        return torch.cat([_products(_joined(*part)).index_select(1, places) for part in parts])

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        first, others, _, pairs, times = ctx.saved_tensors
        rows, count = _rows(first), others.shape[1] + 1
        found = []
        for a, b, g in zip(first.split(rows), others.split(rows), gradient.split(rows)):
            both = (g * times).index_select(1, pairs).unflatten(1, (count, count))
            found.append(torch.bmm(both, _joined(a, b)))  # [rows, F, D]
        to_first = torch.cat([part[:, 0] for part in found])
        return to_first, torch.cat([part[:, 1:] for part in found]), None, None, None


def _rows(first: Tensor) -> int:
    return _CPU_ROWS if first.device.type == "cpu" else max(1, len(first))


def _joined(first: Tensor, others: Tensor) -> Tensor:
    return torch.cat([first[:, None], others], dim=1)  # [rows, F, D]


def _products(vectors: Tensor) -> Tensor:
    return torch.bmm(vectors, vectors.mT).flatten(1)  # [rows, F F]
