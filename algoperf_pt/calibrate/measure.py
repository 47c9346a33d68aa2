"""What is measured of a machine?  Kernels, an all-reduce among its ranks, steps of workloads; what
cannot run is named with the reason.
"""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from omegaconf import OmegaConf

from algoperf_pt.calibrate.kernels import Kernel, kernels
from algoperf_pt.calibrate.record import head
from algoperf_pt.calibrate.steps import step_of
from algoperf_pt.calibrate.timed import figures, skipped, timed
from algoperf_pt.doctor.all_reduce import RanksError, all_reduce
from algoperf_pt.errors import ConfigError

_SEED = 0
_GONE = (ConfigError, RanksError, RuntimeError, NotImplementedError, ImportError, MemoryError)
REPEATS, QUICK = 15, 3


@dataclass(frozen=True)
class Plan:
    """What one command measures.

    Attributes:
        device: on which.
        threads: of the CPU.
        workloads: whose steps.
        repeats: of each figure.
        tell: takes a line for people.
    """

    device: torch.device
    threads: int
    workloads: Sequence[str]
    repeats: int = REPEATS
    tell: Callable[[str], None] = print


def sizes(device: torch.device) -> dict[str, Any]:
    """Those of sizes.yaml for a kind of device."""
    every = OmegaConf.load(Path(__file__).with_name("sizes.yaml"))
    return cast(dict[str, dict[str, Any]], OmegaConf.to_container(every))[device.type]


def calibrate(plan: Plan) -> dict[str, Any]:
    """The whole calibration, as it is written."""
    torch.set_num_threads(plan.threads)
    _rules_numerics()
    load = os.getloadavg()[0]
    wanted = sizes(plan.device)
    found = dict(_kernels(plan, wanted))
    steps = {name: _step(plan, name, wanted["rows"]) for name in plan.workloads}
    return {
        **head(plan.device, plan.threads),
        "time": round(time.time()),
        "repeats": plan.repeats,
        "load": [round(value, 2) for value in (load, os.getloadavg()[0])],
        "kernels": found,
        "steps": steps,
    }


def _rules_numerics() -> None:
    """float32 products, as a trial has them by the rules; TF32 is a kernel of its own."""
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False


def _kernels(plan: Plan, wanted: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for kernel in kernels(wanted):
        yield kernel.name, _told(plan, kernel.name, lambda: _kernel(plan, kernel))
    yield "all_reduce", _told(plan, "all_reduce", lambda: _all_reduce(plan, wanted["all_reduce"]))


def _kernel(plan: Plan, kernel: Kernel) -> dict[str, Any]:
    device = torch.device("cpu") if kernel.on_cpu else plan.device
    with torch.no_grad():
        run = kernel.make(device, torch.Generator().manual_seed(_SEED))
        times = timed(run, device, plan.repeats, kernel.size["times"])
    size = {name: value for name, value in kernel.size.items() if name != "times"}
    return {**figures(times.wall), "size": size}


def _all_reduce(plan: Plan, size: dict[str, Any]) -> dict[str, Any]:
    cuda = plan.device.type == "cuda"
    ranks = size["ranks"] or torch.cuda.device_count()
    if ranks < 2:
        raise ConfigError(f"{ranks} GPU: there is no other rank to reduce with")
    wall = all_reduce("nccl" if cuda else "gloo", ranks, size["megabytes"], plan.repeats)
    return {**figures(wall), "size": {"megabytes": size["megabytes"], "ranks": ranks}}


def _step(plan: Plan, name: str, rows: int | None) -> dict[str, Any]:
    def measured() -> dict[str, Any]:
        return step_of(name, plan.device, plan.threads, rows, plan.repeats)

    return _told(plan, f"step of {name}", measured)


def _told(plan: Plan, what: str, measured: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    try:
        found = measured()
    except _GONE as error:  # no codec, no second GPU, no memory, no such operation on this device
        found = skipped(error)
    if "skipped" in found:
        plan.tell(f"{what:<34} skipped: {found['skipped']}")
    else:
        spread = f"{found['min_ms']:g} to {found['max_ms']:g}"
        plan.tell(f"{what:<34} {found['median_ms']:>9.5g} ms  ({spread}, {found['repeats']} times)")
    return found
