"""Run trials in tests: in this process (fast), or as a user does (a command)."""

import csv
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import torch

from algoperf_pt.config import compose_config, trial_folder
from algoperf_pt.driver import open_folder
from algoperf_pt.heartbeat import Heartbeat
from algoperf_pt.records import verify_events
from algoperf_pt.worker import run

ROOT = Path(__file__).parents[2]
QUIET = ("display=none", "logger=csv", "trainer=cpu", "trainer.threads=1")
OPTIMIZER = "tests.support.submissions."
TIMES = ("accumulated", "score", "total_duration", "preemption_count")  # differ between runs


def compose(data, experiments, *overrides):
    """A checked configuration on the tests' data."""
    places = (f"data.dir={data}", f"experiment_dir={experiments}")
    named = any(override.startswith("workload=") for override in overrides)
    workload = () if named else ("workload=digits",)
    return compose_config([*workload, *places, *QUIET, *overrides])


def run_inside(data, experiments, *overrides):
    """(exit code, folder) of a trial in this process."""
    config = compose(data, experiments, *overrides)
    folder = trial_folder(config)
    code = open_folder(config, folder)
    return (run(config, folder, Heartbeat()) if code is None else code), folder


def command(data, experiments, *overrides, torchrun=0, workload="digits"):
    """The command line of a trial."""
    python = [sys.executable]
    if torchrun:
        launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={torchrun}"]
        python += launcher
    places = [f"data.dir={data}", f"experiment_dir={experiments}"]
    return [*python, str(ROOT / "train.py"), f"workload={workload}", *places, *QUIET, *overrides]


def environment(**more):
    """The environment of a command: the project importable, one thread."""
    return {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **more}


def run_command(data, experiments, *overrides, env=None, **kwargs):
    """The completed process of a trial started as a command."""
    return subprocess.run(
        command(data, experiments, *overrides, **kwargs),
        env=environment(**(env or {})),
        capture_output=True,
        text=True,
        timeout=240,
        cwd=experiments if Path(experiments).exists() else None,
    )


def wait_for(path, process):
    """Until the trial has made a file; fails if it ended before."""
    while not path.exists():
        assert process.poll() is None, "the trial ended early"
        time.sleep(0.002)


def result(folder):
    """Content of result.json."""
    return json.loads((folder / "result.json").read_text())


def rows(folder, name="eval_measurements.csv"):
    """Rows of a CSV file of the trial."""
    with (folder / name).open() as file:
        return list(csv.DictReader(file))


def state(folder, step, rank=0):
    """(shared, own) of a checkpoint."""
    path = folder / f"checkpoint_{step}"
    parts = (path / "shared.pt", path / f"rank_{rank}.pt")
    return tuple(torch.load(part, weights_only=True) for part in parts)


def assert_same(a, b, path=""):
    """Equal to the last bit, whatever the nesting."""
    assert type(a) is type(b), path
    if isinstance(a, torch.Tensor):
        assert torch.equal(a, b), path
    elif isinstance(a, dict):
        assert a.keys() == b.keys(), path
        for key in a:
            assert_same(a[key], b[key], f"{path}/{key}")
    elif isinstance(a, (list, tuple)):
        assert len(a) == len(b), path
        for number, (x, y) in enumerate(zip(a, b)):
            assert_same(x, y, f"{path}/{number}")
    else:
        assert a == b or (a != a and b != b), f"{path}: {a} {b}"


def untimed(folder, name):
    """Rows without what a clock says."""
    return [{k: v for k, v in row.items() if not k.startswith(TIMES)} for row in rows(folder, name)]


def assert_equal_runs(whole, broken, steps, ranks=1):
    """Two trials ended alike after `steps` steps: parameters, state of the submission, generators
    and rows to the last bit; the event log of the second is sound."""
    for rank in range(ranks):
        (shared_a, own_a), (shared_b, own_b) = state(whole, steps, rank), state(broken, steps, rank)
        assert_same(shared_a["model"], shared_b["model"])
        assert_same(shared_a["submission"], shared_b["submission"])
        assert shared_a["drawn"] == shared_b["drawn"] >= steps
        assert_same(own_a, own_b)
    for name in ("eval_measurements.csv", "measurements.csv"):
        assert untimed(whole, name) == untimed(broken, name), name
    assert verify_events(broken / "events.jsonl") > 5
