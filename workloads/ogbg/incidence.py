"""How do vectors travel between edges, nodes and graphs?  By picking rows of a table and, backwards
or the other way, summing rows by slot: one 0/1 matrix and its transpose.

`scatter_add` and `index_add` add in any order on a GPU, and `index_select` does so in its backward
pass, so no run could be repeated to the last bit.  Here both ways are sums over stretches of sorted
indices, one after the other: `embedding_bag` without its own backward pass.

Shapes: R rows, A slots of each, S slots, D features.
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import embedding_bag


class Incidence:
    """Which slots each row is tied to.

    Args:
        slots: [R, A] int64, from 0 to S - 1.
        count: S.
    """

    def __init__(self, slots: Tensor, count: int) -> None:
        flat = slots.flatten()
        order = torch.argsort(flat, stable=True)
        every = torch.arange(count + 1, device=flat.device)
        starts = torch.arange(slots.shape[0] + 1, device=flat.device) * slots.shape[1]
        self._rows = (flat, starts)  # slots of each row, and where they begin
        self._slots = (order // slots.shape[1], torch.searchsorted(flat[order], every))

    def pick(self, table: Tensor) -> Tensor:
        """[R, D]: for each row the sum of its slots' vectors.

        Args:
            table: [S, D], a vector for each slot.
        """
        return _sums(table, self._rows, self._slots)

    def sum(self, rows: Tensor) -> Tensor:
        """[S, D]: for each slot the sum over the rows that are tied to it; 0 where none is.

        Args:
            rows: [R, D].
        """
        return _sums(rows, self._slots, self._rows)


def _sums(x: Tensor, bags: tuple[Tensor, Tensor], transposed: tuple[Tensor, Tensor]) -> Tensor:
    found: Tensor = _Sums.apply(x, *bags, *transposed)
    return found


class _Sums(torch.autograd.Function):
    """Sums of rows by bag; the backward pass is the same with the transposed bags."""

    @staticmethod
    def forward(
        x: Tensor, index: Tensor, starts: Tensor, back_index: Tensor, back_starts: Tensor
    ) -> Tensor:
        return embedding_bag(index, x, starts, mode="sum", include_last_offset=True)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        ctx.save_for_backward(*inputs[3:])

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        index, starts = ctx.saved_tensors
        grad = grads[0].contiguous()
        summed = embedding_bag(index, grad, starts, mode="sum", include_last_offset=True)
        return summed, None, None, None, None
