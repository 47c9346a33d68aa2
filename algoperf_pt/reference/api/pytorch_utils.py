"""AlgoPerf's `pytorch_utils`: who am I among the ranks, and switches of batch norms."""

from typing import Any

import torch
import torch.distributed as dist
from torch import nn


def pytorch_setup() -> tuple[bool, int, torch.device, int]:
    """(ranks are several processes, this rank's number, its device, number of ranks on GPUs).

    The last is the number of ranks, or without them whether there is a GPU: the reference counts
    the machine's GPUs, which here may belong to other trials.
    """
    ddp = dist.is_available() and dist.is_initialized()
    cuda = torch.cuda.is_available()
    device = torch.device("cuda", torch.cuda.current_device()) if cuda else torch.device("cpu")
    if not ddp:
        return False, 0, device, int(cuda)
    on_gpu = "nccl" in dist.get_backend()
    return True, dist.get_rank(), device if on_gpu else torch.device("cpu"), dist.get_world_size()


def pytorch_init(use_pytorch_ddp: bool, rank: int, profiler: Any = None) -> None:
    """Nothing: the harness has set up the ranks and the numerics before it imports a submission."""


def sync_ddp_time(time: float, device: torch.device) -> float:
    """The largest of the ranks' values, s."""
    value = torch.tensor(time, dtype=torch.float64, device=device)
    if dist.is_available() and dist.is_initialized():
        dist.all_reduce(value, dist.ReduceOp.MAX)
    return value.item()


def update_batch_norm_fn(module: nn.Module, update_batch_norm: bool) -> None:
    """For `model.apply`: let a batch norm's running statistics stand, or follow again."""
    if not isinstance(module, nn.modules.batchnorm._NormBase):
        return
    own: dict[str, Any] = vars(module)
    own.setdefault("momentum_backup", module.momentum)
    module.momentum = own["momentum_backup"] if update_batch_norm else 0.0
