"""Where are the valid frames of a batch?  Utterances of different lengths without the padding
between them, and back.

Shapes: B utterances, T frames of a padded batch, S valid frames of all utterances together, C
channels.  Packed frames [S, C] lie utterance by utterance, the longest utterance first.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from algoperf_pt.errors import DataError


def longest_first(lengths: Sequence[int]) -> list[int]:
    """Rows by falling length; equal ones keep their order."""
    return sorted(range(len(lengths)), key=lambda row: -lengths[row])


class Packing:
    """Places of the valid frames of a batch.

    Args:
        lengths: valid frames of each row, the longest first, on the host.
        order: their places in the batch.
        device: of the frames.

    Raises:
        DataError: no row has a valid frame.
    """

    def __init__(
        self, lengths: Sequence[int], order: Sequence[int], device: torch.device
    ) -> None:
        self.lengths, self.device = list(lengths), device
        self.size, self.longest, self.count = len(lengths), lengths[0], sum(lengths)
        if not self.count:
            raise DataError(
                f"a batch of {self.size} utterances has no valid frame",
                expected="at least one sample in one of them",
                where="input_lengths",
            )
        self.filled = sum(length > 0 for length in lengths)  # rows
        in_order = list(order) == list(range(self.size))
        self.whole = in_order and self.count == self.size * self.longest  # nothing to move
        counts = torch.tensor(self.lengths, device=device)
        self.ranks = torch.arange(self.size, device=device).repeat_interleave(
            counts, output_size=self.count
        )  # [S]
        self.rows = torch.tensor(order, device=device)[self.ranks]  # [S]
        starts = counts.cumsum(0) - counts
        self.times = torch.arange(self.count, device=device) - starts[self.ranks]  # [S]

    def pad(self, x: Tensor, width: int | None = None) -> Tensor:
        """[S, C] -> [B, T, C], rows in the order of the batch, zeros behind each.

        Args:
            x: packed frames.
            width: T, at least the longest row; by default as long.
        """
        width = width or self.longest
        if self.whole and width == self.longest:
            return x.view(self.size, width, *x.shape[1:])
        places = self.rows * width + self.times
        padded: Tensor = _Scatter.apply(x, places, self.size * width)
        return padded.view(self.size, width, *x.shape[1:])

    def unpad(self, x: Tensor) -> Tensor:
        """[B, T, C] -> [S, C]; T is at least the longest row."""
        width = x.shape[1]
        if self.whole and width == self.longest:
            return x.flatten(0, 1)
        packed: Tensor = _Gather.apply(x.flatten(0, 1), self.rows * width + self.times)
        return packed

    def key_mask(self) -> Tensor | None:
        """bool [B, 1, 1, longest]: the frames that attention may look at; None: all.  A row without
        any looks at its first, so that no softmax is over nothing.
        """
        if self.whole:
            return None
        valid = torch.zeros(self.size, self.longest, dtype=torch.bool, device=self.device)
        valid[:, 0] = True
        valid[self.rows, self.times] = True
        return valid[:, None, None]


class ByTime:
    """The same frames time by time, as a recurrent network takes them: first the first frames of
    all utterances, then the second ones.

    Args:
        packing: of the batch.
    """

    def __init__(self, packing: Packing) -> None:
        self.sizes = _rows_left(packing.lengths)
        starts = torch.tensor([0, *self.sizes[:-1]]).cumsum(0).to(packing.device)
        self._place = starts[packing.times] + packing.ranks  # of each packed frame, by time
        self._origin = torch.empty_like(self._place)
        self._origin[self._place] = torch.arange(packing.count, device=packing.device)

    def order(self, x: Tensor) -> Tensor:
        """[S, C], utterance by utterance -> time by time."""
        ordered: Tensor = _Permute.apply(x, self._origin, self._place)
        return ordered

    def undo(self, x: Tensor) -> Tensor:
        """Time by time -> utterance by utterance."""
        packed: Tensor = _Permute.apply(x, self._place, self._origin)
        return packed


def _rows_left(lengths: Sequence[int]) -> list[int]:
    """Rows that have a frame at each time, from falling lengths."""
    sizes, rows = [], len(lengths)
    for time in range(lengths[0]):
        while lengths[rows - 1] <= time:
            rows -= 1
        sizes.append(rows)
    return sizes


class _Gather(torch.autograd.Function):
    """Different rows of a matrix.  Its gradient is a copy without sums, unlike `index_select`'s,
    which adds, slowly and on a GPU in any order."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, places: Tensor) -> Tensor:
        ctx.save_for_backward(places)
        ctx.size = len(x)
        return x.index_select(0, places)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return _Scatter.apply(gradient, *ctx.saved_tensors, ctx.size), None


class _Scatter(torch.autograd.Function):
    """Rows at different places of a matrix of zeros."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, places: Tensor, size: int) -> Tensor:
        ctx.save_for_backward(places)
        return x.new_zeros(size, *x.shape[1:]).index_copy_(0, places, x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        return _Gather.apply(gradient, *ctx.saved_tensors), None, None


class _Permute(torch.autograd.Function):
    """All rows of a matrix in another order; `inverse` is the way back."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, order: Tensor, inverse: Tensor) -> Tensor:
        ctx.save_for_backward(order, inverse)
        return x.index_select(0, order)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        order, inverse = ctx.saved_tensors
        return _Permute.apply(gradient, inverse, order), None, None
