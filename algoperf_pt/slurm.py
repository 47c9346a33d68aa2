"""Under `srun` without torchrun: SLURM's variables say which rank I am."""

import subprocess
from collections.abc import Callable, MutableMapping

_FIRST_PORT = (
    20000  # above the ports of system services; one for each job, so two jobs on a node do not meet
)
_PORTS = 20000


def _hostnames(nodelist: str) -> list[str]:
    output = subprocess.run(
        ["scontrol", "show", "hostnames", nodelist], capture_output=True, text=True, check=True
    )
    return output.stdout.split()


def adopt_slurm(
    environment: MutableMapping[str, str], hostnames: Callable[[str], list[str]] = _hostnames
) -> None:
    """Set RANK, LOCAL_RANK, (LOCAL_)WORLD_SIZE, MASTER_ADDR and MASTER_PORT from an `srun`
    with several
    tasks.
    """
    if (
        "RANK" in environment
        or int(environment.get("SLURM_NTASKS", "1")) < 2
        or "SLURM_PROCID" not in environment
    ):
        return
    environment["RANK"] = environment["SLURM_PROCID"]
    environment["LOCAL_RANK"] = environment["SLURM_LOCALID"]
    environment["WORLD_SIZE"] = environment["SLURM_NTASKS"]
    per_node = environment.get("SLURM_NTASKS_PER_NODE", environment["SLURM_NTASKS"])
    environment["LOCAL_WORLD_SIZE"] = per_node
    environment.setdefault("MASTER_ADDR", hostnames(environment["SLURM_JOB_NODELIST"])[0])
    environment.setdefault(
        "MASTER_PORT", str(_FIRST_PORT + int(environment["SLURM_JOB_ID"]) % _PORTS)
    )
