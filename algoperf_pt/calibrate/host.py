"""Which machine is this, as far as its speed goes?  A fingerprint that changes with whatever makes
a calibration void: processor, memory, GPU, driver, torch.
"""

import hashlib
import json
import os
import platform
from pathlib import Path
from typing import Any

import psutil
import torch

from algoperf_pt.calibrate.classes import cpu_class, gpu_class
from algoperf_pt.cores import usable_cores
from algoperf_pt.measuring import device_name


def host() -> dict[str, Any]:
    """What the fingerprint is made of.  Of several GPUs the models count, not how many may be
    seen; the machine's name does not, since a container's changes with every start."""
    return {
        "cpu": device_name(torch.device("cpu")),
        "cores": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30),
        "gpus": sorted({_gpu(number) for number in range(_gpus())}),
        "driver": _driver() if _gpus() else None,
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "machine": platform.machine(),
    }


def fingerprint(facts: dict[str, Any]) -> str:
    """SHA-256 of what `host` gives."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def class_of(device: torch.device, ranks: int, threads: int) -> str:
    """The hardware class on which `ranks` processes compute, with so many threads each; of a CPU
    the cores count that these can use."""
    if device.type == "cuda":
        return gpu_class(torch.cuda.get_device_name(device), ranks)
    return cpu_class(device_name(torch.device("cpu")), min(usable_cores(), ranks * threads))


def _gpus() -> int:
    return torch.cuda.device_count() if torch.cuda.is_available() else 0


def _gpu(number: int) -> str:
    found = torch.cuda.get_device_properties(number)
    return f"{found.name}, {round(found.total_memory / 2**30)} GiB"


def _driver() -> str | None:
    path = Path("/proc/driver/nvidia/version")
    return path.read_text().splitlines()[0] if path.exists() else None
