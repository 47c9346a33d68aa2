"""Do ranks reach each other, and how fast?  An all-reduce among child processes with a time limit.

    python -m algoperf_pt.doctor.all_reduce BACKEND RANK WORLD STORE MEGABYTES REPEATS

is one of the children; rank 0 prints the milliseconds of each repetition as JSON.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import algoperf_pt
from algoperf_pt.errors import AlgoperfError

_MODULE = "algoperf_pt.doctor.all_reduce"
# a trial's own, which would lead the children elsewhere
_RANKS = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


class RanksError(AlgoperfError):
    """Ranks did not reach each other, or not in time."""


def all_reduce(
    backend: str, world: int, megabytes: float = 1.0, repeats: int = 5, limit: float = 120.0
) -> list[float]:
    """Milliseconds of each of `repeats` all-reduces of float32 values among `world` processes.

    Args:
        backend: "gloo" (on the CPU) or "nccl" (rank n on GPU n).
        megabytes: of each rank's values (2^20 bytes).
        limit: s, for all of it, the start of the processes included.

    Raises:
        RanksError: a process failed, or the limit came first; no process is left behind.
    """
    with TemporaryDirectory() as folder:
        common = [str(world), f"{folder}/store", str(megabytes), str(repeats)]
        children = [_start(folder, [backend, str(r), *common], r) for r in range(world)]
        try:
            _wait(children, limit, Path(folder))
        finally:
            for child in children:
                if child.poll() is None:
                    child.kill()
                child.wait()
        times: list[float] = json.loads(Path(folder, "out_0").read_text().splitlines()[-1])
    return times


def _start(folder: str, arguments: Sequence[str], rank: int) -> "subprocess.Popen[bytes]":
    root = str(Path(algoperf_pt.__file__).parents[1])
    path = os.pathsep.join([root, os.environ.get("PYTHONPATH", "")])
    kept = {name: value for name, value in os.environ.items() if name not in _RANKS}
    environment = {**kept, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", _MODULE, *arguments]
    with Path(folder, f"out_{rank}").open("wb") as out, Path(folder, f"err_{rank}").open("wb") as e:
        return subprocess.Popen(command, stdout=out, stderr=e, env=environment)


def _wait(children: "Sequence[subprocess.Popen[bytes]]", limit: float, folder: Path) -> None:
    end = time.monotonic() + limit
    while any(child.poll() is None for child in children):
        if time.monotonic() > end:
            raise RanksError(
                f"{len(children)} ranks did not finish an all-reduce in {limit:g} s",
                fix="NCCL_DEBUG=INFO shows where they wait; a firewall or /dev/shm often",
            )
        if any(child.poll() for child in children):
            break
        time.sleep(0.05)
    for rank, child in enumerate(children):
        if child.poll():
            told = (folder / f"err_{rank}").read_text(errors="replace").strip().splitlines()
            raise RanksError(
                f"rank {rank} of {len(children)} ended with code {child.returncode}: "
                f"{told[-1] if told else 'without a word'}",
                fix="NCCL_DEBUG=INFO tells more",
            )


def _child(arguments: Sequence[str]) -> None:
    import torch  # the parent may be a process that has not
    import torch.distributed as dist

    backend, rank, world, store, megabytes, repeats = arguments
    torch.set_num_threads(1)
    device = torch.device("cuda", int(rank)) if backend == "nccl" else torch.device("cpu")
    if device.type == "cuda":
        torch.cuda.set_device(device)
    wait = timedelta(seconds=60)
    dist.init_process_group(
        backend, f"file://{store}", rank=int(rank), world_size=int(world), timeout=wait
    )
    values = torch.ones(max(1, int(float(megabytes) * 2**18)), device=device)
    times = []
    for _ in range(int(repeats) + 1):
        values.fill_(1.0)
        dist.barrier()
        start = time.perf_counter()
        dist.all_reduce(values)
        total = float(values[-1])  # waits for the device
        times.append(1e3 * (time.perf_counter() - start))
        if total != int(world):
            sys.exit(f"the sum of {world} ones is {total}")
    if rank == "0":
        print(json.dumps(times[1:]))
    dist.destroy_process_group()


if __name__ == "__main__":
    _child(sys.argv[1:])
