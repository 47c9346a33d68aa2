"""Several ranks give one rank's numbers, agree on every decision, and on how the trial ended."""

import json
import socket
import subprocess

import pytest
import torch

from algoperf_pt.slurm import adopt_slurm
from tests.support.runs import (
    OPTIMIZER,
    command,
    environment,
    result,
    rows,
    run_command,
    run_inside,
    state,
)

FOLDER = "nadamw/study_0/digits/trial_1"
STEPS = ("max_steps=20", "eval_every_steps=10", "logger.first=20")
TWO = "trainer.devices=2"


def losses(folder):
    return [float(row["loss"]) for row in rows(folder, "measurements.csv") if row["loss"]]


@pytest.mark.ddp
def test_two_ranks_equal_one(data, tmp_path):
    _, one = run_inside(data, tmp_path / "one", *STEPS)
    done = run_command(data, tmp_path / "two", *STEPS, TWO)
    two = tmp_path / "two" / FOLDER
    assert done.returncode == 11, done.stderr
    assert len(losses(one)) == len(losses(two)) == 20
    assert losses(two) == pytest.approx(losses(one), rel=1e-5)
    for a, b in zip(rows(one), rows(two)):
        for key in (k for k in a if k.startswith(("train/", "validation/", "test/"))):
            assert float(b[key]) == pytest.approx(float(a[key]), rel=1e-5), key
    books = json.loads((two / "ledger.json").read_text())
    assert len(books["ranks"]) == 2
    assert books["unexplained"] <= 1e-3 * books["wall_of_attempt"] + 2e-3


@pytest.mark.ddp
def test_the_global_mean_with_uneven_numbers_of_valid_examples(data, tmp_path):
    masked = f"submission._target_={OPTIMIZER}Masked"
    _, one = run_inside(data, tmp_path / "one", *STEPS, masked)
    run_command(data, tmp_path / "two", *STEPS, masked, TWO)
    assert losses(tmp_path / "two" / FOLDER) == pytest.approx(losses(one), rel=1e-5)


@pytest.mark.ddp
def test_under_torchrun_with_a_rank_whose_clock_is_wrong(data, tmp_path):
    """Rank 1's clock runs 50 times as fast: it evaluates and stops at the same steps as rank 0."""
    done = run_command(
        data,
        tmp_path,
        "clock._target_=tests.support.clocks.SkewedClock",
        "targets.workloads.digits.max_runtime=1.5",
        "targets.workloads.digits.eval_period=0.4",
        "targets.workloads.digits.validation_target=2",
        torchrun=2,
    )
    assert done.returncode == 0, done.stderr
    folder = tmp_path / FOLDER
    assert result(folder)["status"] == "budget"
    assert result(folder)["elapsed"] >= 1.5  # of rank 0's seconds
    steps = [json.loads((folder / f"evaluated_by_{rank}.json").read_text()) for rank in (0, 1)]
    assert steps[0] == steps[1] and len(steps[0]) == len(rows(folder)) >= 3


@pytest.mark.ddp
def test_two_nodes_on_loopback(data, tmp_path):
    """Two launches of torchrun that meet on one address: a node each."""
    processes = []
    for node in (0, 1):
        line = command(data, tmp_path, *STEPS)
        launcher = ["-m", "torch.distributed.run", "--nnodes=2", f"--node-rank={node}"]
        launcher += [
            "--nproc-per-node=1",
            "--master-addr=127.0.0.1",
            f"--master-port={free_port()}",
        ]
        processes.append(line[:1] + launcher + line[1:])
    processes[1] = [a if "master-port" not in a else port(processes[0]) for a in processes[1]]
    running = [
        subprocess.Popen(line, env=environment(), stderr=subprocess.PIPE) for line in processes
    ]
    errors = [process.communicate(timeout=100)[1] for process in running]
    assert [process.returncode for process in running] == [0, 0], errors
    assert result(tmp_path / FOLDER)["ranks"] == 2


@pytest.mark.ddp
@pytest.mark.parametrize(
    "name, status, code", [("Drift", "integrity_error", 26), ("RaiseOnRankOne", "data_error", 24)]
)
def test_what_one_rank_sees_ends_the_trial_on_all(data, tmp_path, name, status, code):
    done = run_command(data, tmp_path, f"submission._target_={OPTIMIZER}{name}", *STEPS, TWO)
    assert done.returncode == code, done.stderr
    assert result(tmp_path / FOLDER)["status"] == status


@pytest.mark.ddp
def test_work_of_the_slower_rank_is_timed(data, tmp_path):
    slow = f"submission._target_={OPTIMIZER}SlowOnRankOne"
    run_command(data, tmp_path, slow, *STEPS, TWO)
    assert result(tmp_path / FOLDER)["elapsed"] > 20 * 0.05


def test_workers_do_not_change_a_bit(data, tmp_path):
    _, none = run_inside(data, tmp_path / "0", *STEPS, "data.workers=0")
    _, three = run_inside(data, tmp_path / "3", *STEPS, "data.workers=3")
    assert losses(none) == losses(three)
    for a, b in zip(state(none, 20)[0]["model"].values(), state(three, 20)[0]["model"].values()):
        assert torch.equal(a, b)
    kept = [k for k in rows(none)[0] if "/" in k]
    assert [[r[k] for k in kept] for r in rows(none)] == [[r[k] for k in kept] for r in rows(three)]


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def port(line):
    return next(a for a in line if "master-port" in a)


def test_slurm_variables_become_ranks():
    environment = {
        "SLURM_NTASKS": "4",
        "SLURM_PROCID": "3",
        "SLURM_LOCALID": "1",
        "SLURM_NTASKS_PER_NODE": "2",
        "SLURM_JOB_NODELIST": "node[1-2]",
        "SLURM_JOB_ID": "123456",
    }
    adopt_slurm(environment, lambda nodes: ["node1", "node2"])
    assert (environment["RANK"], environment["LOCAL_RANK"], environment["WORLD_SIZE"]) == (
        "3",
        "1",
        "4",
    )
    assert environment["LOCAL_WORLD_SIZE"] == "2" and environment["MASTER_ADDR"] == "node1"
    alone = {"SLURM_NTASKS": "1", "SLURM_PROCID": "0"}
    adopt_slurm(alone)
    assert "RANK" not in alone
    torchrun = {"RANK": "0", "SLURM_NTASKS": "4", "SLURM_PROCID": "0"}
    adopt_slurm(torchrun)
    assert "WORLD_SIZE" not in torchrun
