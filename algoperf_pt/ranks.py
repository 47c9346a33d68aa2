"""Who am I among the ranks, and what do all of us agree on?  Control messages are CPU tensors: no
device sync.
"""

import os
from collections.abc import Sequence
from typing import Any, TypeVar

import torch
import torch.distributed as dist

T = TypeVar("T")


class Ranks:
    """The ranks of one trial.  With one rank every method is a plain function call.

    Args:
        device: where this rank computes.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        on = dist.is_available() and dist.is_initialized()
        self.rank = dist.get_rank() if on else 0
        self.world = dist.get_world_size() if on else 1
        self.local_rank = int(os.environ.get("LOCAL_RANK", self.rank))
        needs_own = on and dist.get_backend() != "gloo"
        self._control: Any = dist.new_group(backend="gloo") if needs_own else None

    @property
    def is_zero(self) -> bool:
        """Whether this rank writes the files."""
        return self.rank == 0

    def agree(self, values: Sequence[float]) -> list[float]:
        """The maximum of each value over ranks: what time decisions may use."""
        if self.world == 1:
            return list(values)
        tensor = torch.tensor(values, dtype=torch.float64)
        dist.all_reduce(tensor, dist.ReduceOp.MAX, group=self._control)
        result: list[float] = tensor.tolist()
        return result

    def sum_(self, tensor: torch.Tensor) -> torch.Tensor:
        """Sum over ranks in place, on the tensor's device."""
        if self.world > 1:
            dist.all_reduce(tensor)
        return tensor

    def gather(self, value: T) -> list[T]:
        """Every rank's `value` (plain Python), in rank order, on every rank."""
        if self.world == 1:
            return [value]
        out: list[Any] = [None] * self.world
        dist.all_gather_object(out, value, group=self._control)
        return out

    def concat(self, tensor: torch.Tensor) -> torch.Tensor:
        """[n, ...] on each rank (equal n) -> [world, n, ...] of all ranks."""
        if self.world == 1:
            return tensor[None]
        out = torch.empty((self.world, *tensor.shape), dtype=tensor.dtype, device=tensor.device)
        dist.all_gather(list(out.unbind(0)), tensor.contiguous())
        return out

    def barrier(self) -> None:
        """Wait for every rank."""
        if self.world > 1:
            dist.all_reduce(torch.zeros(1), group=self._control)

    def synchronize(self) -> None:
        """Wait until this rank's device has done all its work: before the clock is read exactly."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
