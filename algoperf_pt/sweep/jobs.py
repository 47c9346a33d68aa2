"""Trials as jobs of a cluster, submitted by submitit: one job a trial, one task a node; the trial's
own workers are started inside the job.

A job that runs into its time limit or is preempted saves a checkpoint and is queued again
(submitit's requeue).
"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from algoperf_pt.optional import need
from algoperf_pt.sweep.backends import Running
from algoperf_pt.sweep.child import CONSOLE, command, environment, write_planned
from algoperf_pt.sweep.plan import Planned

_PORTS = range(20000, 40000)  # one for each job, so that two jobs on a node do not meet
_SAVE = 80.0  # s to save a checkpoint; SLURM signals 90 s before it kills


class TrialJob:
    """What runs in each task of a job.  Pickled into the job.

    Args:
        words: FILE HASH of the trial.
        nodes: machines of the trial.
        devices: processes on each, "all": one for each GPU.
    """

    def __init__(self, words: list[str], nodes: int, devices: str) -> None:
        self.words, self.nodes, self.devices = words, nodes, devices

    def __call__(self) -> int:
        """Run the trial, or this node's part of it; the exit code."""
        place: Any = need("submitit", "slurm").JobEnvironment()
        name = CONSOLE if place.node == 0 else f"console_node_{place.node}.log"
        launcher = None
        if self.nodes > 1:
            host, number = place.hostnames[0], place.raw_job_id
            launcher = rendezvous(self.nodes, self.devices, host, number)
        words = self.words if launcher else [*self.words, str(os.getpid())]
        with Path(self.words[0]).with_name(name).open("ab") as log:
            self._process = subprocess.Popen(
                command(words, launcher),
                env=environment(os.environ),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        signal.signal(signal.SIGTERM, lambda *_: self._process.terminate())
        return self._process.wait()

    def checkpoint(self) -> Any:
        """Before the time limit: let the trial save and end; the job that goes on."""
        self._process.terminate()
        try:
            self._process.wait(_SAVE)
        except subprocess.TimeoutExpired:
            self._process.kill()  # it goes on from its last checkpoint
        again = TrialJob(self.words, self.nodes, self.devices)
        return need("submitit", "slurm").helpers.DelayedSubmission(again)


def rendezvous(nodes: int, devices: str, host: str, job: str) -> list[str]:
    """torchrun's words on each node of a trial: the nodes meet at a port of the first."""
    digits = int("".join(c for c in job if c.isdigit()) or 0)
    port = _PORTS[digits % len(_PORTS)]
    return [
        *("-m", "torch.distributed.run", f"--nnodes={nodes}", "--max-restarts=0"),
        f"--nproc-per-node={'gpu' if devices == 'all' else devices}",
        *("--rdzv-backend=c10d", f"--rdzv-endpoint={host}:{port}", f"--rdzv-id={job}"),
    ]


class JobTrial:
    """A trial that is in the queue or runs as a job."""

    def __init__(self, job: Any, log: Path) -> None:
        self._job, self.log = job, log
        self.where = f"job {job.job_id}"

    def poll(self) -> int | None:
        """The exit code; None while it waits or runs.  -9 if the job was killed from outside."""
        if not self._job.done():
            return None
        try:
            return int(self._job.results()[0])
        except Exception:  # submitit raises whatever it makes of a lost job
            return -int(signal.SIGKILL)

    def stop(self) -> None:
        """A job that waits leaves the queue, one that runs gets SIGTERM."""
        process = getattr(self._job, "_process", None)
        if process is not None:  # submitit's local jobs
            process.terminate()
        elif str(self._job.state).upper() == "RUNNING":
            subprocess.run(["scancel", "--signal=TERM", self._job.job_id], check=False)
        else:
            self._job.cancel(check=False)

    def kill(self) -> None:
        """Cancel the job."""
        self._job.cancel(check=False)


class Jobs:
    """A cluster.

    Args:
        cluster: "slurm", or "local": submitit's own jobs on this machine, to try it out.
        parallel: jobs in the queue at a time; None: all.
        nodes: machines of one trial.
        requeues: times that a job may run into its time limit.
        parameters: of submitit (timeout_min, gpus_per_node, slurm_partition, ...); None: left out.
    """

    def __init__(
        self,
        cluster: str = "slurm",
        parallel: int | None = None,
        nodes: int = 1,
        requeues: int = 20,
        parameters: dict[str, Any] | None = None,
    ) -> None:
        self._cluster, self._parallel, self._nodes = cluster, parallel, nodes
        self._requeues = requeues
        self._parameters = {k: v for k, v in (parameters or {}).items() if v is not None}
        self._running = 0

    def prepare(self, trials: Sequence[Planned]) -> None:
        """Nothing: the cluster's queue knows what it has."""
        need("submitit", "slurm")

    def has_room(self) -> bool:
        """Whether another job may be submitted."""
        return self._parallel is None or self._running < self._parallel

    def start(self, planned: Planned) -> JobTrial:
        """Submit a job."""
        config = planned.config()
        words = write_planned(config, planned.folder)
        devices = config["trainer"]["devices"]
        with _environment():
            job = self.executor(planned, devices).submit(TrialJob(words, self._nodes, devices))
        self._running += 1
        return JobTrial(job, planned.folder / CONSOLE)

    def release(self, running: Running) -> None:
        """A job has ended."""
        self._running -= 1

    def at_once(self) -> int:
        """As many as may be in the queue."""
        return self._parallel or sys.maxsize

    def describe(self) -> str:
        """How many jobs, where."""
        most = "all" if self._parallel is None else str(self._parallel)
        return f"{most} at a time in the queue ({self._cluster}), {self._nodes} node(s) each"

    def executor(self, planned: Planned, devices: str) -> Any:
        """submitit's executor for a trial: its jobs' scripts and pickles lie in FOLDER/jobs."""
        number = {f"{self._cluster}_max_num_timeout": self._requeues}
        executor = need("submitit", "slurm").AutoExecutor(
            folder=planned.folder / "jobs", cluster=self._cluster, **number
        )
        name = f"{planned.submission}_{planned.workload}_{planned.study}_{planned.trial}"
        gpus = {} if planned.first["trainer"]["accelerator"] == "cpu" or devices == "all" else {
            "gpus_per_node": int(devices)
        }
        executor.update_parameters(
            **{"name": name, "tasks_per_node": 1, "nodes": self._nodes}, **gpus | self._parameters
        )
        return executor


@contextmanager
def _environment() -> Iterator[None]:
    """A job inherits this process's environment: this package must be found in it."""
    before = dict(os.environ)
    os.environ.update(environment(before))
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
