"""Can several ranks train together here?  NCCL's version, and an all-reduce of two local ranks."""

import statistics

import torch
import torch.distributed as dist

from algoperf_pt.doctor.all_reduce import all_reduce
from algoperf_pt.doctor.finding import Examined


def look_at_ranks(found: Examined, limit: float = 120.0) -> None:
    """Two ranks by NCCL where there are two GPUs, by gloo on the CPU elsewhere.

    Args:
        found: where facts and problems go.
        limit: s, for the all-reduce with the start of its processes.
    """
    if not dist.is_available():
        text = "this torch is built without torch.distributed: one rank a trial"
        found.wrong(text, "pip install a torch from PyPI")
        return
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if torch.cuda.is_available() and dist.is_nccl_available():
        version = torch.cuda.nccl.version()  # type: ignore[no-untyped-call]
        found.facts.append("NCCL " + ".".join(map(str, version)))
    elif gpus:
        found.wrong("there are GPUs, but this torch has no NCCL", "pip install a torch from PyPI")
    backend = "nccl" if gpus > 1 and dist.is_nccl_available() else "gloo"
    times = all_reduce(backend, 2, limit=limit)
    middle = statistics.median(times)
    found.facts.append(f"all-reduce of 1 MiB by {backend} on 2 local ranks: {middle:.2f} ms")
