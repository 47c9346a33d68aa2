"""Trials as jobs of a cluster: submitit's script for SLURM, its jobs on this machine, and two nodes
that meet by torchrun's rendezvous."""

import os
import pickle
import signal
import socket
import subprocess
import sys

import pytest

from algoperf_pt.sweep.child import command, environment, write_planned
from algoperf_pt.sweep.jobs import Jobs, JobTrial, TrialJob, rendezvous
from tests.support.runs import QUIET, result, wait_for
from tests.support.sweeps import SOON, many, plan_of, submission

submitit = pytest.importorskip("submitit")
STUDY = "nadamw/study_0/digits"


@pytest.fixture
def planned(tmp_path):
    words = ("workload=digits", "trainer.devices=2", f"experiment_dir={tmp_path}", "study=1")
    return plan_of(*words, "submission=nadamw", "trial=4")[0]


def test_the_script_for_slurm(planned, tmp_path, monkeypatch):
    """sbatch gets one task a node, the trial's devices, and a signal before the end."""
    (tmp_path / "srun").write_text("#!/bin/sh\n")
    (tmp_path / "srun").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    parameters = {"timeout_min": 60, "slurm_partition": "gpu", "mem_gb": None, "cpus_per_task": 16}
    jobs = Jobs(nodes=2, parameters=parameters)
    executor = jobs.executor(planned, "2")._executor
    text = executor._make_submission_file_text("run", "id")
    for line in (
        "#SBATCH --nodes=2",
        "#SBATCH --ntasks-per-node=1",
        "#SBATCH --gpus-per-node=2",
        "#SBATCH --cpus-per-task=16",
        "#SBATCH --partition=gpu",
        "#SBATCH --signal=USR2@90",
        "#SBATCH --time=60",
        "#SBATCH --job-name=nadamw_digits_1_4",
        f"#SBATCH --output={planned.folder}/jobs/%j_0_log.out",
    ):
        assert line in text.splitlines(), text
    assert "mem" not in text and "srun" in text


def test_nodes_meet_at_a_port_of_the_first(planned):
    line = command(["FILE", "HASH"], rendezvous(2, "8", "node7", "123456_3"))
    text = " ".join(line[1:])
    assert text == (
        "-m torch.distributed.run --nnodes=2 --max-restarts=0 --nproc-per-node=8 "
        "--rdzv-backend=c10d --rdzv-endpoint=node7:34563 --rdzv-id=123456_3 "
        "-m algoperf_pt.sweep.child FILE HASH"
    )
    assert "--nproc-per-node=gpu" in rendezvous(2, "all", "node7", "1")


def test_a_job_that_runs_into_its_limit_stops_the_trial_and_is_queued_again(tmp_path):
    job = TrialJob([str(tmp_path / "planned.json"), "HASH"], 1, "1")
    code = "import signal, sys; signal.signal(15, lambda *_: sys.exit(143)); print(1, flush=True)"
    line = [sys.executable, "-c", code + "; signal.pause()"]
    job._process = subprocess.Popen(line, stdout=subprocess.PIPE)
    job._process.stdout.readline()
    again = job.checkpoint()
    assert job._process.returncode == 143
    assert pickle.loads(pickle.dumps(again)).function.words == job.words


def test_a_job_that_is_lost_has_no_exit_code(tmp_path):
    class Lost:
        job_id = "7"

        def done(self):
            return True

        def results(self):
            raise RuntimeError("job was killed")

    assert JobTrial(Lost(), tmp_path).poll() == -signal.SIGKILL


@pytest.mark.slow
@pytest.mark.timeout(300)  # starts several interpreters with torch
def test_submitits_jobs_on_this_machine(data, tmp_path):
    """One trial runs to its end; the second is stopped by SIGTERM to the parent."""
    words = ["workload=digits", submission("Slow"), "study=0", "hydra/launcher=slurm"]
    words += ["hydra.launcher.cluster=local", "hydra.launcher.parallel=1"]
    words += ["trial=1,2", "max_steps=100", "eval_every_steps=50"]
    parent = many(data, tmp_path, *words, background=True)
    second = tmp_path / STUDY / "trial_2"
    wait_for(second / "measurements.csv", parent)
    parent.send_signal(signal.SIGTERM)
    output, _ = parent.communicate(timeout=100)
    assert parent.returncode == 143, output
    assert result(tmp_path / STUDY / "trial_1")["status"] == "step_limit"
    found = result(second)
    assert found["status"] == "terminated" and (second / f"checkpoint_{found['step']}").is_dir()
    assert list((second / "jobs").glob("*_submitted.pkl"))
    assert "evaluation at step" in (second / "console.log").read_text() or found["step"] < 50


@pytest.mark.slow
@pytest.mark.timeout(300)  # starts several interpreters with torch
@pytest.mark.ddp
def test_two_nodes_on_this_machine(data, tmp_path):
    """Two agents of torchrun find each other, as those of two nodes do; every rank checks the
    hash."""
    words = ("workload=digits", f"data.dir={data}", f"experiment_dir={tmp_path}", *QUIET, *SOON)
    planned = plan_of(*words, "study=0", "trial=1", needs_data=True)[0]
    file, digest = write_planned(planned.config(), planned.folder)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    launcher = [a for a in rendezvous(2, "1", "127.0.0.1", "1") if "endpoint" not in a]
    launcher.append(f"--rdzv-endpoint=127.0.0.1:{port}")
    own = environment(os.environ, OMP_NUM_THREADS="1")
    agents = [
        subprocess.Popen(command([file, digest], launcher), env=own, stderr=subprocess.PIPE)
        for _ in range(2)
    ]
    errors = [agent.communicate(timeout=110)[1] for agent in agents]
    assert [agent.returncode for agent in agents] == [0, 0], errors
    found = result(planned.folder)
    assert found["ranks"] == 2 and found["status"] == "step_limit"


def test_a_file_that_is_not_the_planned_one_is_refused(planned):
    file, digest = write_planned({**planned.config(), "max_steps": 7}, planned.folder)
    line = command([file, "0" * 64])
    done = subprocess.run(line, env=environment(os.environ), capture_output=True, text=True)
    assert done.returncode == 2 and f"has the hash {digest[:8]}" in done.stderr
