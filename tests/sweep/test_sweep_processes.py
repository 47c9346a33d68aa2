"""Many trials as real processes: what dies, is killed or stopped takes nothing else along, and the
same command goes on."""

import json
import signal

import psutil
import pytest

from algoperf_pt.records import verify_events
from tests.support.runs import result, rows, wait_for
from tests.support.sweeps import SOON, many, submission

STUDY = "nadamw/study_0/digits"
TWO = "hydra.launcher.parallel=2"


def children(pid):
    return psutil.Process(pid).children(recursive=True)


def has_torch(process):
    return any("libtorch" in area.path for area in process.memory_maps())


@pytest.mark.slow
@pytest.mark.timeout(300)  # starts several interpreters with torch
def test_one_raises_one_is_killed_one_ends_and_then_all_go_on(data, tmp_path):
    words = ["workload=digits", submission("ByRate"), *SOON]
    words += ["submission.hparams.learning_rate=0.001,0.002,0.003", "hydra.launcher.parallel=3"]
    done = many(data, tmp_path, *words)
    assert done.returncode == 30, done.stdout
    found = [result(tmp_path / STUDY / f"trial_{n}")["status"] for n in (1, 2, 3)]
    assert found == ["step_limit", "submission_error", "rank_lost"]
    assert "ZeroDivisionError: division by zero" in done.stdout  # the message, and the last lines
    assert "  | status: submission_error" in done.stdout
    assert "killed by signal 9" in done.stdout
    first = tmp_path / STUDY / "trial_1"
    before = (first / "measurements.csv").read_bytes()
    again = many(data, tmp_path, *words, env={"TEST_HEALED": "1"})
    assert again.returncode == 0, again.stdout
    assert "3 trials, 1 of them over" in again.stdout
    assert (first / "measurements.csv").read_bytes() == before and not _earlier(first)
    for number in (2, 3):
        folder = tmp_path / STUDY / f"trial_{number}"
        assert result(folder)["status"] == "step_limit" and len(_earlier(folder)) == 1
        assert [row["global_step"] for row in rows(folder)] == ["10", "20"]
        assert verify_events(folder / "events.jsonl") >= 4


def _earlier(folder):
    return list(folder.glob("result_*.json"))


@pytest.mark.slow
@pytest.mark.timeout(300)  # starts several interpreters with torch
def test_stopped_killed_and_resumed(data, tmp_path):
    """First the parent gets SIGTERM, then, in a second attempt, SIGKILL."""
    words = ["workload=digits", submission("Slow"), "study=0", "trial=1,2,3", TWO]
    words += ["max_steps=150", "eval_every_steps=50"]
    folders = [tmp_path / STUDY / f"trial_{n}" for n in (1, 2, 3)]
    parent = many(data, tmp_path, *words, background=True)
    for folder in folders[:2]:
        wait_for(folder / "measurements.csv", parent)
    assert not has_torch(psutil.Process(parent.pid))
    assert sum(has_torch(child) for child in children(parent.pid)) == 2  # not their supervisors
    parent.send_signal(signal.SIGTERM)
    output, _ = parent.communicate(timeout=60)
    assert parent.returncode == 143 and "save a checkpoint and end" in output, output
    steps = [result(folder)["step"] for folder in folders[:2]]
    assert all((f / f"checkpoint_{n}").is_dir() for f, n in zip(folders, steps))
    assert not folders[2].exists()
    parent = many(data, tmp_path, *words, background=True)
    for folder in folders[:2]:
        wait_for(folder / "flags_1.json", parent)
    alive = children(parent.pid)
    parent.kill()
    parent.communicate(timeout=60)
    gone, left = psutil.wait_procs(alive, timeout=30)
    assert not left and len(gone) >= 4  # each trial has a supervisor and a fork
    assert [result(folder)["status"] for folder in folders[:2]] == ["terminated"] * 2
    done = many(data, tmp_path, *words)
    assert done.returncode == 0, done.stdout
    for folder in folders:
        assert result(folder)["status"] == "step_limit"
        assert [row["global_step"] for row in rows(folder)] == ["50", "100", "150"]
        assert verify_events(folder / "events.jsonl") >= 5
        planned = json.loads((folder / "planned.json").read_text())
        assert planned == json.loads((folder / "config.json").read_text())


@pytest.mark.slow
@pytest.mark.timeout(300)  # starts several interpreters with torch
@pytest.mark.ddp
def test_a_rank_is_killed(data, tmp_path):
    """A trial of two ranks; the torchrun of it and the other rank end, the parent tells."""
    words = ["workload=digits", submission("Slow"), "study=0", "trial=1", "trainer.devices=2"]
    words += ["max_steps=600", "eval_every_steps=300"]
    parent = many(data, tmp_path, *words, background=True)
    first = tmp_path / STUDY / "trial_1"
    wait_for(first / "measurements.csv", parent)
    processes = children(parent.pid)
    [p for p in processes if has_torch(p) and "algoperf_pt.rank" in p.cmdline()][-1].kill()
    output, _ = parent.communicate(timeout=120)
    assert parent.returncode == 30, output
    assert result(first)["status"] == "rank_lost" and "trial 1: rank lost" in output
    assert not psutil.wait_procs(processes, timeout=10)[1]


def test_a_rank_does_not_start_many(data, tmp_path):
    done = many(data, tmp_path, "workload=digits", env={"RANK": "0", "WORLD_SIZE": "2"})
    assert done.returncode == 2 and "started by torchrun" in done.stdout


def test_other_launchers_are_refused(data, tmp_path):
    done = many(data, tmp_path, "workload=digits", "hydra/launcher=basic")
    assert done.returncode == 2 and "expected: hydra/launcher=local or slurm" in done.stdout
    assert not list(tmp_path.glob("nadamw/study*"))


@pytest.mark.slow
@pytest.mark.timeout(300)  # starts several interpreters with torch
def test_hydras_own_sweeper(data, tmp_path):
    done = many(data, tmp_path, "workload=digits", "trial=2", *SOON, "hydra/sweeper=basic")
    assert done.returncode == 0, done.stdout
    folder = tmp_path / STUDY / "trial_2"
    assert len(rows(folder)) == 2
    hparams = json.loads((folder / "hparams.json").read_text())
    assert hparams["weight_decay"] == 0.08135402759553023  # the second point
