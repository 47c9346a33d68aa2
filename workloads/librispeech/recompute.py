"""How is a large tensor left out of what a backward pass keeps?  It is made again, once, when the
backward pass first asks for it.

Unlike `torch.utils.checkpoint` it leaves out one tensor alone, so that what was made from it need
not be made again; gradients of gradients work as ever.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks


def made_again(tensor: Tensor, make: Callable[[], Tensor]) -> AbstractContextManager[Any]:
    """Context of operations that would keep `tensor`, or what works in place made of it.

    Args:
        tensor: before these operations; contiguous.
        make: gives the values that they leave in it, from what is kept anyway.
    """
    place, source = tensor.data_ptr(), _Source(make)

    def pack(saved: Tensor) -> Any:
        if saved.data_ptr() != place:
            return saved
        source.uses += 1
        return _View(saved.shape, saved.stride())

    def unpack(kept: Any) -> Tensor:
        if isinstance(kept, _View):
            return source.take().as_strided(kept.shape, kept.stride)
        found: Tensor = kept
        return found

    return saved_tensors_hooks(pack, unpack)


class _View:
    """How a tensor that is not kept lay in memory."""

    def __init__(self, shape: torch.Size, stride: tuple[int, ...]) -> None:
        self.shape, self.stride = shape, stride


class _Source:
    """Makes the values at the first of their uses, and forgets them after the last."""

    def __init__(self, make: Callable[[], Tensor]) -> None:
        self.make, self.uses, self.left = make, 0, 0
        self.values: Tensor | None = None

    @torch.no_grad()
    def take(self) -> Tensor:
        values = self.values
        if values is None:
            values, self.left = self.make(), self.uses
        self.left -= 1
        self.values = values if self.left > 0 else None
        return values
