"""Is the GPU there, free, and at its full speed?  What torch sees, and what nvidia-smi tells."""

import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from algoperf_pt.doctor.finding import Examined

Ask = Callable[[Sequence[str]], str]  # queries of nvidia-smi -> its output

_WAIT = 30.0  # s: a driver that hangs does not answer at all
_SLOWED = {  # bits of nvidia-smi's reasons for lower clocks (NVML's documentation)
    0x2: "application clocks are set below the maximum",
    0x8: "hardware slowdown (heat or power)",
    0x20: "software thermal slowdown",
    0x40: "hardware thermal slowdown",
    0x80: "power brake",
}
_USED = 0.05  # share of the memory that may be in use before a trial
_FIELDS = ("index", "name", "memory.used", "memory.total", "power.limit", "power.default_limit")
_REASONS = ("clocks_event_reasons.active", "clocks_throttle_reasons.active")  # new and old name


def look_at_gpus(found: Examined, ask: Ask | None = None) -> None:
    """Driver, memory, processes, power and clocks.

    Args:
        found: where facts and problems go.
        ask: runs nvidia-smi with arguments; None: the one on the path, if there is one.
    """
    ask = ask or (_nvidia_smi if shutil.which("nvidia-smi") else None)
    _torch(found, ask is not None or Path("/dev/nvidia0").exists())
    if ask is None:
        found.facts.append("no nvidia-smi")
        return
    try:
        found.facts.append("driver " + ask(["--query-gpu=driver_version"]).splitlines()[0])
        for line in ask([f"--query-gpu={','.join(_FIELDS)}"]).splitlines():
            _card(found, [cell.strip() for cell in line.split(",")])
        _clocks(found, ask)
        _processes(found, ask)
    except (OSError, subprocess.SubprocessError, IndexError) as error:
        text = f"nvidia-smi does not answer: {_told(error)}"
        found.wrong(text, "load the driver (nvidia-smi alone must work), or restart the machine")


def _torch(found: Examined, promised: bool) -> None:
    build = torch.version.cuda
    found.facts.append(f"torch built for CUDA {build}" if build else "torch built without CUDA")
    if torch.cuda.is_available():
        for number in range(torch.cuda.device_count()):
            _compiled_for(found, number)
    elif promised:
        hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
        why = f" (CUDA_VISIBLE_DEVICES={hidden})" if hidden is not None else ""
        fix = "unset CUDA_VISIBLE_DEVICES" if why else "install a driver for torch's CUDA, or "
        text = f"the machine has a GPU that torch does not see{why}"
        found.wrong(text, fix if why else f"{fix}a torch for the driver's")
    else:
        found.facts.append("no GPU: trials run on the CPU")


def _compiled_for(found: Examined, number: int) -> None:
    name = torch.cuda.get_device_name(number)
    major, minor = torch.cuda.get_device_capability(number)
    free, total = torch.cuda.mem_get_info(number)
    found.facts.append(f"{number}: {name}, {free / 2**30:.1f} of {total / 2**30:.1f} GiB free")
    archs = torch.cuda.get_arch_list()
    # code for 8.0 runs on 8.6, too; PTX (compute_80) is translated for everything newer
    fits = any(a.startswith(f"sm_{major}") and int(a[4:].rstrip("af")) <= minor for a in archs)
    newer = any(a.startswith("compute_") for a in archs)
    if archs and not fits and not newer:
        text = f"torch has no kernels for {name} (sm_{major}{minor}), only {', '.join(archs)}"
        found.wrong(text, "install a torch build for this GPU")


def _card(found: Examined, cells: Sequence[str]) -> None:
    number, name, used, total, limit, usual = cells
    if _number(used) > _USED * _number(total) > 0:
        text = f"GPU {number} ({name}): {used} of {total} MiB are in use"
        found.wrong(text, "end what uses it: nvidia-smi names the processes")
    if 0 < _number(limit) < _number(usual):
        text = f"GPU {number} ({name}): power is limited to {limit} W of {usual} W"
        found.wrong(text, f"nvidia-smi -i {number} -pl {_number(usual):g} (as root)")


def _clocks(found: Examined, ask: Ask) -> None:
    for number, text in enumerate(_reasons(ask).splitlines()):
        try:
            bits = int(text.strip(), 16)
        except ValueError:
            continue  # "[N/A]": this card does not tell
        for bit, why in _SLOWED.items():
            if bits & bit:
                fix = "nvidia-smi -rac; nvidia-smi -rgc" if bit == 0x2 else "check cooling, power"
                found.wrong(f"GPU {number}: {why}", fix)


def _reasons(ask: Ask) -> str:
    for name in _REASONS:
        try:
            return ask([f"--query-gpu={name}"])
        except subprocess.CalledProcessError:
            continue  # a driver that has the other name
    return ""


def _processes(found: Examined, ask: Ask) -> None:
    for line in ask(["--query-compute-apps=pid,process_name,used_memory"]).splitlines():
        pid, _, rest = line.partition(",")
        if pid.strip().isdigit() and int(pid) != os.getpid():
            text = f"another process computes on a GPU: {pid.strip()},{rest}"
            found.wrong(text, f"wait for it, or end it: kill {pid.strip()}")


def _nvidia_smi(queries: Sequence[str]) -> str:
    command = ["nvidia-smi", *queries, "--format=csv,noheader,nounits"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_WAIT, check=True)
    return done.stdout.strip()


def _told(error: Exception) -> str:
    output = (getattr(error, "stdout", "") or "") + (getattr(error, "stderr", "") or "")
    return (str(output) or str(error))[:300]


def _number(cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        return 0.0  # "[N/A]"
