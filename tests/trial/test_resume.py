"""A trial that is killed and started again ends like one that was never killed, to the
last bit (reference: 705, 755)."""

import json
import signal
import subprocess
import time

import pytest

from algoperf_pt.trial import Trial
from tests.support.runs import (
    OPTIMIZER,
    assert_equal_runs,
    command,
    environment,
    result,
    rows,
    run_command,
    run_inside,
    state,
    wait_for,
)

STEPS = 90
ARGUMENTS = (
    f"submission._target_={OPTIMIZER}Noisy",
    f"max_steps={STEPS}",
    "eval_every_steps=20",
    "logger.first=3",
    "logger.every=10",
)
FOLDER = "nadamw/study_0/digits/trial_1"


@pytest.fixture(scope="module")
def whole(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    code, folder = run_inside(data, folder, *ARGUMENTS)
    assert code in (0, 11)  # target reached, or step limit
    assert state(folder, STEPS)[0]["drawn"] > STEPS  # it throws batches away
    return folder


@pytest.mark.parametrize("kill_at", [0, 7, 20, 47, 89])
def test_killed_and_resumed_equals_unbroken(data, tmp_path, whole, kill_at):
    died = run_command(data, tmp_path, *ARGUMENTS, env={"TEST_KILL_AT": str(kill_at)})
    assert died.returncode == 23, died.stderr
    folder = tmp_path / FOLDER
    assert result(folder)["status"] == "rank_lost"
    assert "SIGKILL" in result(folder)["message"]
    code, _ = run_inside(data, tmp_path, *ARGUMENTS)
    assert code in (0, 11)
    assert_equal_runs(whole, folder, STEPS)
    assert result(folder)["attempts"] == 2
    assert result(folder)["ledger"]["lost"] > 0 or kill_at in (0, 20)  # the redone work is charged
    assert (folder / "flags_1.json").exists() and (folder / "meta_data_1.json").exists()


def test_paused_at_given_times_equals_unbroken(data, tmp_path, whole):
    """A pause is on the submission's clock, and the same command without it goes on."""
    pause = 1e-6  # s: after the first step; then after a few more
    for number in range(3):
        code, folder = run_inside(data, tmp_path, *ARGUMENTS, f"pause_at={pause}")
        found = result(folder)
        assert code == 14 and found["status"] == found["stop_reason"] == "paused"
        assert found["elapsed"] >= pause and found["attempts"] == number + 1
        assert (folder / f"checkpoint_{found['step']}").is_dir()
        pause = found["elapsed"] + 1e-3
    code, _ = run_inside(data, tmp_path, *ARGUMENTS)
    assert code in (0, 11) and result(folder)["ledger"]["lost"] == 0
    assert_equal_runs(whole, folder, STEPS)


def test_supervisor_killed_at_a_random_instant(data, tmp_path, whole):
    slow = (*ARGUMENTS, "submission.grad_clip=null")
    process = subprocess.Popen(
        command(data, tmp_path, *slow), env=environment(), stdout=subprocess.DEVNULL
    )
    folder = tmp_path / FOLDER
    wait_for(folder / "checkpoint_20", process)
    process.send_signal(signal.SIGKILL)
    process.wait()
    time.sleep(0.5)  # the kernel kills the trial with its supervisor
    size = (folder / "events.jsonl").stat().st_size
    time.sleep(0.3)
    assert (folder / "events.jsonl").stat().st_size == size
    code, _ = run_inside(data, tmp_path, *slow)
    assert code in (0, 11)
    assert_equal_runs(whole, folder, STEPS)


def test_a_corrupt_checkpoint_is_detected_and_the_one_before_used(data, tmp_path, whole, capsys):
    run_command(data, tmp_path, *ARGUMENTS, env={"TEST_KILL_AT": "70"})
    folder = tmp_path / FOLDER
    newest = folder / "checkpoint_60" / "shared.pt"
    content = bytearray(newest.read_bytes())
    content[len(content) // 2] ^= 1
    newest.write_bytes(content)
    code, _ = run_inside(data, tmp_path, *ARGUMENTS)
    assert code in (0, 11)
    assert (
        "checkpoint_60 is not used: shared.pt does not have its checksum" in capsys.readouterr().out
    )
    assert_equal_runs(whole, folder, STEPS)


def signalled(at):
    """A trial that gets a SIGTERM while it makes step `at`, counted from 0."""

    class Signalled(Trial):
        def train_step(self, batch):
            found = super().train_step(batch)
            self.stop_signal = signal.SIGTERM if self.step == at + 1 else 0
            return found

    return Signalled


@pytest.mark.parametrize("at", [7, 19, 89])
def test_a_signal_at_a_step_whose_evaluation_is_due_puts_it_off(
    data, tmp_path, whole, monkeypatch, at
):
    """The evaluation of steps 20 and 90 is the first thing that the next attempt does."""
    monkeypatch.setattr("algoperf_pt.assemble.Trial", signalled(at))
    code, folder = run_inside(data, tmp_path, *ARGUMENTS)
    assert code == 143 and result(folder)["step"] == at + 1
    log = (folder / "events.jsonl").read_text()
    assert log.count('"kind": "evaluation"') == at // 20
    monkeypatch.undo()
    code, _ = run_inside(data, tmp_path, *ARGUMENTS)
    assert code in (0, 11) and result(folder)["ledger"]["lost"] == 0
    assert_equal_runs(whole, folder, STEPS)


def test_a_pause_that_met_a_signal_is_not_made_up_for(data, tmp_path, monkeypatch):
    """Only the evaluation is: when to pause is for the next attempt to say."""
    words = (ARGUMENTS[0], "max_steps=3", "eval_every_steps=1")
    monkeypatch.setattr("algoperf_pt.assemble.Trial", signalled(0))
    code, folder = run_inside(data, tmp_path, *words, "pause_at=1e-6")
    assert code == 143 and result(folder)["step"] == 1
    monkeypatch.undo()
    code, _ = run_inside(data, tmp_path, *words)
    assert code == 11 and result(folder)["status"] == "step_limit"
    assert [row["global_step"] for row in rows(folder)] == ["1", "2", "3"]


def test_ended_but_killed_before_its_result_was_written(data, tmp_path, whole, monkeypatch):
    """The last checkpoint knows that the trial is over: no further step is made."""

    def lost(*_):
        raise OSError("gone")

    monkeypatch.setattr("algoperf_pt.worker.write_result", lost)
    code, folder = run_inside(data, tmp_path, *ARGUMENTS)
    assert code == 1 and (folder / f"checkpoint_{STEPS}").is_dir()
    monkeypatch.undo()
    code, _ = run_inside(data, tmp_path, *ARGUMENTS)
    assert code in (0, 11) and result(folder)["step"] == STEPS
    assert_equal_runs(whole, folder, STEPS)


def test_a_finished_trial_is_shown_not_run_again(data, tmp_path, capsys):
    first, folder = run_inside(data, tmp_path, "max_steps=5", "eval_every_steps=5")
    before = (folder / "measurements.csv").read_bytes()
    again, _ = run_inside(data, tmp_path, "max_steps=5", "eval_every_steps=5")
    assert first == again == 11
    assert (folder / "measurements.csv").read_bytes() == before
    assert "This trial is over" in capsys.readouterr().out


def test_another_configuration_is_refused_with_the_difference(data, tmp_path):
    run_inside(data, tmp_path, "max_steps=5", "eval_every_steps=5")
    died = run_command(data, tmp_path, "max_steps=6", "eval_every_steps=5", "logger=default")
    assert died.returncode == 2
    assert "max_steps: 5 -> 6" in died.stderr and "1 keys differ" in died.stderr


def test_two_processes_on_one_folder_are_refused(data, tmp_path):
    slow = (f"submission._target_={OPTIMIZER}Slow", "max_steps=2000")
    process = subprocess.Popen(command(data, tmp_path, *slow), env=environment())
    try:
        wait_for(tmp_path / FOLDER / "clock.bin", process)
        second = run_command(data, tmp_path, *slow)
        assert second.returncode == 2
        assert "another process is running the trial" in second.stderr
    finally:
        process.terminate()
        assert process.wait() == 143


@pytest.mark.ddp
@pytest.mark.parametrize("name", ["digits", "cifar_tiny"])  # with and without batch norm
def test_two_ranks_killed_and_resumed(all_data, tmp_path, name):
    data, place = all_data.prepared(name), FOLDER.replace("digits", name)
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    two = (*ARGUMENTS, "trainer.devices=2")
    assert run_command(data, whole, *two, workload=name).returncode in (0, 11)
    killed = {"TEST_KILL_AT": "47", "TEST_KILL_RANK": "1"}
    died = run_command(data, broken, *two, env=killed, workload=name)
    assert died.returncode == 23, died.stderr
    assert json.loads((broken / place / "result.json").read_text())["status"] == "rank_lost"
    resumed = run_command(data, broken, *two, workload=name)
    assert resumed.returncode in (0, 11), resumed.stderr
    assert_equal_runs(whole / place, broken / place, STEPS, ranks=2)
