"""How do ranks share the work of an update?  Each tensor has an owner, who computes it for all.

Gradients are the same on all ranks, so any of them can do any tensor.  The owners are found from
the costs alone, in the same way everywhere; results go round once a step.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from algoperf_pt.optimizer_submission import OptimizerSubmission


def ranks() -> tuple[int, int]:
    """(this rank, their number)."""
    if dist.is_available() and dist.is_initialized():
        return dist.get_rank(), dist.get_world_size()
    return 0, 1


def owners(costs: Sequence[float], world: int) -> list[int]:
    """The rank of each task: the dearest first, each to the rank with the least so far."""
    loads = [0.0] * world
    chosen = [0] * len(costs)
    for task in sorted(range(len(costs)), key=lambda number: -costs[number]):
        rank = loads.index(min(loads))
        loads[rank] += costs[task]
        chosen[task] = rank
    return chosen


def exchange(
    tensors: Sequence[Tensor], owned_by: Sequence[int], dtype: torch.dtype | None = None
) -> None:
    """Give every rank the owners' values, in place.  Each rank calls it with tensors of the same
    shapes in the same order.

    Args:
        dtype: in which values travel; None: their own.  The owner, too, keeps what travels, also
            where it is alone.
    """
    rank, world = ranks()
    if dtype is not None:
        for tensor in tensors:
            tensor.copy_(tensor.to(dtype))
    if world == 1:
        return
    parcels: dict[Any, list[Tensor]] = defaultdict(list)
    for tensor, owner in zip(tensors, owned_by):
        parcels[owner, tensor.dtype, tensor.device].append(tensor)
    sent = []
    for (owner, own, device), content in parcels.items():
        kind = dtype or own
        if owner == rank:
            flat = torch.cat([t.reshape(-1) for t in content]).to(kind)
        else:
            flat = torch.empty(sum(t.numel() for t in content), dtype=kind, device=device)
        work: Any = dist.broadcast(flat, src=owner, async_op=True)
        sent.append((work, flat, content, owner))
    for work, flat, content, owner in sent:
        work.wait()
        if owner != rank:
            parts = torch.split(flat, [t.numel() for t in content])
            for tensor, part in zip(content, parts):
                tensor.copy_(part.view(tensor.shape))


class SharedStateSubmission(OptimizerSubmission):
    """For rules whose ranks keep the state of what they own alone: it is saved rank by rank, so a
    trial goes on with the number of ranks with which it began.
    """

    def state_dict(self) -> dict[str, Any]:
        return {key: value for key, value in super().state_dict().items() if key == "average"}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._shared = state_dict

    def rank_state_dict(self) -> dict[str, Any]:
        state = super().state_dict()
        return {key: state[key] for key in ("optimizer", "others") if key in state}

    def load_rank_state_dict(self, state_dict: dict[str, Any]) -> None:
        super().load_state_dict({**self._shared, **state_dict})
