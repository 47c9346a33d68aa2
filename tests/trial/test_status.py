"""Every end of a trial has its name, the same in result.json, the event log and the exit code."""

import json
import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from algoperf_pt.config import trial_folder
from algoperf_pt.driver import is_running, ranks_locked, run_here
from algoperf_pt.errors import ConfigError
from algoperf_pt.records import verify_events
from algoperf_pt.status import EXIT_CODES, Status
from tests.support.runs import (
    OPTIMIZER,
    command,
    compose,
    environment,
    result,
    rows,
    run_command,
    run_inside,
    wait_for,
)
from tests.support.submissions import BusyThread

FOLDER = "nadamw/study_0/digits/trial_1"
SOON = ("eval_every_steps=5", "max_steps=20")


def submission(name, **options):
    return [
        f"submission._target_={OPTIMIZER}{name}",
        *(f"+submission.options.{key}={value}" for key, value in options.items()),
    ]


@pytest.mark.parametrize(
    "status, arguments",
    [
        ("reached", ["targets.workloads.digits.validation_target=0.01", *SOON]),
        ("step_limit", SOON),
        ("budget", ["targets.workloads.digits.max_runtime=0.05"]),
        ("submission_done", submission("Done")),
        ("diverged", [*submission("NanAt", at=7), *SOON]),
        ("out_of_memory_train", [*submission("RaiseAt", kind="oom", at=3), *SOON]),
        ("data_error", [*submission("RaiseAt", kind="data", at=3), *SOON]),
        ("submission_error", [*submission("RaiseAt", kind="bug", at=3), *SOON]),
        ("submission_error", [*submission("Unsafe"), *SOON]),
        ("integrity_error", [*submission("Replace"), *SOON]),
        ("integrity_error", [*submission("Freeze"), *SOON]),
        ("integrity_error", [*submission("Widen"), *SOON]),
    ],
)
def test_ends(data, tmp_path, status, arguments):
    code, folder = run_inside(data, tmp_path, *arguments)
    found = result(folder)
    assert found["status"] == status
    assert code == EXIT_CODES[Status(status)]
    last = json.loads((folder / "events.jsonl").read_text().splitlines()[-1])
    assert last["status"] == status
    assert verify_events(folder / "events.jsonl") >= 2


def test_out_of_memory_in_the_evaluation(data, tmp_path, monkeypatch):
    import workloads.mnist.workload as workload

    def raise_oom(self, batch):
        raise MemoryError

    monkeypatch.setattr(workload.MnistWorkload, "eval_step", raise_oom)
    code, folder = run_inside(data, tmp_path, *SOON)
    assert result(folder)["status"] == "out_of_memory_eval" and code == 21


def test_a_trial_that_reached_the_validation_target_only(data, tmp_path):
    targets = "targets.workloads.digits."
    code, folder = run_inside(
        data, tmp_path, *SOON, f"{targets}validation_target=0.01", f"{targets}test_target=0.99"
    )
    found = result(folder)
    assert code == 0 and found["status"] == "reached" and found["stop_reason"] == "step_limit"
    assert found["steps_to_target"] == {"validation": 5, "test": None}


def test_work_while_the_clock_stands_is_caught(data, tmp_path, monkeypatch):
    import workloads.mnist.workload as workload

    whole = workload.MnistWorkload.evaluate

    def slow(self, split, ranks):
        end = time.monotonic() + 0.5
        while time.monotonic() < end:
            time.sleep(0.01)
        return whole(self, split, ranks)

    monkeypatch.setattr(workload.MnistWorkload, "evaluate", slow)
    for name in ("BusyThread", "BusyProcess"):
        try:
            code, folder = run_inside(data, tmp_path / name, *submission(name), *SOON)
        finally:
            BusyThread.quit.set()
        assert result(folder)["status"] == "integrity_error", name
        assert "while the clock stood" in result(folder)["message"]


def test_a_hanging_trial_is_named_and_its_stacks_are_kept(data, tmp_path):
    done = run_command(data, tmp_path, *submission("Hang"), "trainer.hang_timeout=2")
    folder = tmp_path / FOLDER
    assert done.returncode == 22, done.stderr
    assert result(folder)["status"] == "hung"
    assert "step" in (folder / "stacks_rank_0.txt").read_text()


def test_a_trial_hangs_long_before_the_upper_bound_when_its_steps_are_short(data, tmp_path):
    """Its steps take milliseconds: two seconds of silence are more than enough."""
    done = run_command(data, tmp_path, *submission("Hang", at=30), "trainer.hang_floor=2")
    assert done.returncode == 22, done.stderr
    found = result(tmp_path / FOLDER)
    assert found["status"] == "hung" and "no step for 2 s (a step takes 0.0" in found["message"]


@pytest.mark.ddp
def test_when_a_rank_hangs_the_stacks_of_all_ranks_are_kept(data, tmp_path):
    hang = submission("Hang", at=30, rank=1)
    done = run_command(data, tmp_path, *hang, "trainer.hang_floor=3", "trainer.devices=2")
    assert done.returncode == 22, done.stderr
    folder = tmp_path / FOLDER
    stacks = [(folder / f"stacks_rank_{rank}.txt").read_text() for rank in (0, 1)]
    assert "in step" in stacks[1] and "submissions.py" in stacks[1]
    assert "most recent call first" in stacks[0] and result(folder)["status"] == "hung"


@pytest.mark.parametrize(
    "number, status, code", [(signal.SIGINT, "user_stop", 130), (signal.SIGTERM, "terminated", 143)]
)
def test_a_stop_saves_and_goes_on(data, tmp_path, number, status, code):
    arguments = [*submission("Slow"), "eval_every_steps=50", "max_steps=150"]
    process = subprocess.Popen(
        command(data, tmp_path, *arguments), env=environment(), start_new_session=True
    )
    folder = tmp_path / FOLDER
    wait_for(folder / "measurements.csv", process)  # it trains
    if number == signal.SIGINT:  # Ctrl-C reaches the whole group
        os.killpg(process.pid, number)
    else:
        process.send_signal(number)
    assert process.wait(20) == code
    assert result(folder)["status"] == status
    stopped_at = result(folder)["step"]
    assert 0 < stopped_at < 150 and (folder / f"checkpoint_{stopped_at}").is_dir()
    code, _ = run_inside(data, tmp_path, *arguments)
    assert code == 11 and result(folder)["step"] == 150
    assert (folder / "result_0.json").exists()


def test_a_cluster_signals_every_process_of_a_trial(data, tmp_path):
    """The supervisor passes on what the trial itself got, too: it is one request."""
    arguments = [*submission("Slow"), "eval_every_steps=50", "max_steps=500"]
    process = subprocess.Popen(
        command(data, tmp_path, *arguments), env=environment(), start_new_session=True
    )
    folder = tmp_path / FOLDER
    wait_for(folder / "measurements.csv", process)
    os.killpg(process.pid, signal.SIGTERM)
    assert process.wait(20) == 143
    stopped_at = result(folder)["step"]
    assert (folder / f"checkpoint_{stopped_at}").is_dir()  # not only the one of an evaluation


def test_a_stop_before_training_has_its_code_too(data, tmp_path):
    process = subprocess.Popen(command(data, tmp_path), env=environment())
    wait_for(tmp_path / FOLDER / "config.json", process)  # it imports torch
    time.sleep(0.3)
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 143
    assert result(tmp_path / FOLDER)["status"] == "terminated"


@pytest.mark.ddp
@pytest.mark.parametrize(
    "number, status, code", [(signal.SIGINT, "user_stop", 130), (signal.SIGTERM, "terminated", 143)]
)
def test_two_ranks_are_told_which_signal_it_was(data, tmp_path, number, status, code):
    arguments = [*submission("Slow"), "eval_every_steps=50", "max_steps=500", "trainer.devices=2"]
    process = subprocess.Popen(command(data, tmp_path, *arguments), env=environment())
    folder = tmp_path / FOLDER
    wait_for(folder / "measurements.csv", process)
    process.send_signal(number)  # Ctrl-C does not reach the ranks: they have sessions of their own
    assert process.wait(60) == code
    found = result(folder)
    assert found["status"] == status and (folder / f"checkpoint_{found['step']}").is_dir()


@pytest.mark.ddp
def test_ranks_whose_launcher_is_killed_save_and_end(data, tmp_path):
    arguments = [*submission("Slow"), "eval_every_steps=500", "max_steps=500", "trainer.devices=2"]
    process = subprocess.Popen(command(data, tmp_path, *arguments), env=environment())
    folder = tmp_path / FOLDER
    wait_for(folder / "measurements.csv", process)
    launcher = psutil.Process(process.pid).children()[0]
    ranks = launcher.children(recursive=True)
    assert len(ranks) >= 4 and is_running(folder)
    launcher.kill()
    assert process.wait(60) == 23
    assert "launcher of the ranks was killed by SIGKILL" in result(folder)["message"]
    _, left = psutil.wait_procs(ranks, timeout=30)
    assert not left and list(folder.glob("checkpoint_*"))


def test_while_rank_0_of_a_killed_launcher_saves_no_other_command_starts(data, tmp_path):
    config = compose(data, tmp_path)
    folder = trial_folder(config)
    folder.mkdir(parents=True)
    with ranks_locked(folder):
        assert is_running(folder)
        with pytest.raises(ConfigError, match="another process is running the trial"):
            run_here(config)
    assert not is_running(folder)


def test_the_ledger_is_written_and_adds_up(data, tmp_path):
    _, folder = run_inside(data, tmp_path, *SOON)
    books = json.loads((folder / "ledger.json").read_text())
    assert books["unexplained"] <= 1e-3 * books["wall_of_attempt"] + 2e-3
    assert set(books["ranks"][0]) == {
        *("data", "step", "prepare_for_eval", "lost"),
        *("eval", "checkpoint", "logging", "clock"),
    }
    final = rows(folder, "measurements.csv")[-1]
    assert float(final["score"]) == result(folder)["elapsed"]


def test_the_device_has_finished_when_the_clock_stops(data, tmp_path, monkeypatch):
    """Work that is still queued on the device belongs to the step, not to the logging that
    reads its result."""
    from algoperf_pt.ranks import Ranks
    from timing.ledger import Ledger

    seen = []
    switch = Ledger.switch
    monkeypatch.setattr(Ranks, "synchronize", lambda self: seen.append("sync"))
    monkeypatch.setattr(Ledger, "switch", lambda self, b: (seen.append(b), switch(self, b))[1])
    run_inside(data, tmp_path, *SOON, "logger.first=20")
    for bucket in ("logging", "eval"):
        before = [seen[i - 1] for i, found in enumerate(seen) if found == bucket]
        assert len(before) >= 4
        assert set(before) <= {"sync", "clock"}, bucket


def test_no_evaluation_after_the_budget(data, tmp_path):
    budget = (
        "targets.workloads.digits.max_runtime=0.2",
        "targets.workloads.digits.eval_period=0.15",
    )
    _, folder = run_inside(data, tmp_path, *budget)
    assert all(float(row["score"]) < 0.2 for row in rows(folder))
    assert result(folder)["elapsed"] >= 0.2
    steps = result(folder)["step"]  # the period is far away: the budget is tested at every step
    assert steps > max(int(row["global_step"]) for row in rows(folder))


def test_torchs_compilers_are_no_work_of_the_submission(tmp_path):
    from algoperf_pt.integrity import _tasks

    before = _tasks()
    folder = tmp_path / "torch" / "_inductor" / "compile_worker"
    folder.mkdir(parents=True)
    (folder / "__main__.py").write_text("import time; time.sleep(60)")
    (tmp_path / "other.py").write_text("import time; time.sleep(60)")
    compiler = subprocess.Popen([sys.executable, str(folder / "__main__.py")])
    other = subprocess.Popen([sys.executable, str(tmp_path / "other.py")])
    try:
        deadline = time.monotonic() + 10
        while _tasks() - before != {("process", other.pid)} and time.monotonic() < deadline:
            time.sleep(0.05)  # between fork and exec a child has its parent's command line
        assert _tasks() - before == {("process", other.pid)}
    finally:
        compiler.kill()
        other.kill()
        compiler.wait(), other.wait()
