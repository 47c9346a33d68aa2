"""An evaluation that runs only what can still change a place: what it starts, until when, what it
reports, and that it goes on.  Trials are played by a script, without processes; one test runs them.
"""

import json
import math

import pytest

from algoperf_pt.errors import ConfigError
from algoperf_pt.sweep import run
from algoperf_pt.sweep.incremental import FILE, Incremental
from algoperf_pt.sweep.outcome import overall
from tests.support.runs import result
from tests.support.sweeps import Actor, Script, Silent, finish, many, plan_of

WORDS = ("workload=digits,mnist_tiny", "submission=nadamw", "study=0,1,2", "trial=1,2")
INF = math.inf


@pytest.fixture
def trials(tmp_path, monkeypatch):
    """Two workloads of 30 s, three studies of two trials."""
    monkeypatch.setattr(run, "_POLL", 0.001)
    return plan_of(*WORDS, f"experiment_dir={tmp_path / 'own'}")


def rival(folder, name, seconds, workloads=("digits", "mnist_tiny"), target=0.985):
    """Logs of a submission that reaches the target of each workload after so many seconds."""
    for workload, target in zip(workloads, (target, 0.98)):
        for study in range(3):
            place = folder / name / f"study_{study}" / workload / "trial_1"
            place.mkdir(parents=True)
            rows = [f"{t},{t},{0.99 if t >= seconds else 0.1}" for t in range(1, 30)]
            text = "\n".join(["score,global_step,validation/accuracy", *rows])
            (place / "eval_measurements.csv").write_text(text + "\n")
            told = {"target_metric_name": "accuracy", "validation_target_value": target}
            told["max_allowed_runtime_sec"] = 30.0
            content = {f"workload.{key}": value for key, value in told.items()}
            (place / "meta_data_0.json").write_text(json.dumps(content))
    return folder


def policy(logs, **more):
    return {
        "_target_": "scoring.incremental.live.Live",
        "rivals": str(logs),
        "version": "development",
        **more,
    }


class Played(Script):
    """`truth(planned)`: seconds after which its trial reaches the target."""

    def __init__(self, truth, room=1):
        super().__init__({}, room)
        self.truth, self.asked = truth, []

    def start(self, planned):
        self.asked.append((planned.workload, planned.study, planned.trial, planned.pause_at))
        time, until = self.truth(planned), planned.pause_at
        if planned.config()["pause_at"] != until:
            raise AssertionError("the trial does not know when to pause")
        running = super().start(planned)
        status = "reached" if time <= until else "paused"
        elapsed = min(time, until)
        running.result = {"elapsed": elapsed, "step": 1}
        running.result["time_to_target"] = {"validation": time if time <= until else None}
        running.end = (status, {"reached": 0, "paused": 14}[status])
        (planned.folder / "config.json").write_text(json.dumps(planned.config()))
        running.__class__ = _Shows
        return running


class _Shows(Actor):
    def poll(self):
        code = super().poll()
        if code is not None:
            (self.planned.folder / "result.json").unlink()
            finish(self.planned.folder, self.end[0], **self.result)
        return code


def test_it_stops_when_the_place_is_sure(trials, tmp_path):
    """Twice as fast as the rival in all trials of two studies: the third need not run."""
    logs, silent = rival(tmp_path / "logs", "slow", 20), Silent()
    played = Played(lambda planned: 10.0)
    outcomes = Incremental(trials, played, silent, policy(logs)).run()
    assert overall(outcomes) == 0 and 0 < len(outcomes) < 12
    assert all(until <= 20.0 * 4 for *_, until in played.asked)
    report = [text for kind, text in silent.told if kind == "note"][-1]
    first, line = report.splitlines()
    assert first.startswith("score ") and first.endswith("of at most 0.10 h")
    assert "slow" in line and line.endswith("beaten")
    assert silent.told[0][0] == "begin" and [k for k, _ in silent.told].count("end") == 1


def test_trials_pause_in_rungs_and_go_on(trials, tmp_path):
    logs = rival(tmp_path / "logs", "fast", 4)
    played = Played(lambda planned: INF)
    silent = Silent()
    Incremental(trials, played, silent, policy(logs)).run()
    limit = 4 * 4  # s, after which a trial counts nothing
    first = [until for *place, until in played.asked if place == ["digits", 0, 1]]
    assert first == [limit / 8, limit / 4, limit / 2, limit][: len(first)] and len(first) > 1
    assert silent.told[-1][1].endswith("ahead")


def test_the_same_command_goes_on_from_the_folders(trials, tmp_path):
    logs = rival(tmp_path / "logs", "fast", 4)
    whole = Played(lambda planned: INF)
    Incremental(trials, whole, Silent(), policy(logs)).run()
    again = Played(lambda planned: INF)
    assert Incremental(trials, again, Silent(), policy(logs)).run() == []
    assert again.asked == []
    content = json.loads((tmp_path / "own" / "nadamw" / FILE).read_text())
    assert content["report"][1].endswith("ahead") and content["dropped"] == []


def test_as_many_at_a_time_as_there_is_room_for(trials, tmp_path):
    played = Played(lambda planned: INF, room=2)
    Incremental(trials, played, Silent(), policy(rival(tmp_path / "logs", "fast", 4))).run()
    assert played.most == 2


def test_a_failure_of_the_submission_counts_as_missed_and_others_stop(trials, tmp_path):
    logs = rival(tmp_path / "logs", "slow", 20)
    failing = Script({1: ("submission_error", 25), 2: ("out_of_memory_train", 20)}, room=1)
    outcomes = Incremental(trials, failing, Silent(), policy(logs)).run()
    assert outcomes == [] and len(failing.started) > 2
    lost = Script({1: ("rank_lost", 23)}, room=1)
    more = plan_of(*WORDS, f"experiment_dir={tmp_path / 'more'}")
    outcomes = Incremental(more, lost, Silent(), policy(logs)).run()
    assert [o.status.value for o in outcomes] == ["rank_lost"] and lost.started == [1]


def test_the_worse_half_stays_behind_when_it_goes_on(trials, tmp_path):
    logs = rival(tmp_path / "logs", "fast", 4)
    Incremental(trials, Played(lambda planned: INF), Silent(), policy(logs, halving=True)).run()
    dropped = json.loads((tmp_path / "own" / "nadamw" / FILE).read_text())["dropped"]
    assert dropped
    again = Played(lambda planned: INF)
    assert Incremental(trials, again, Silent(), policy(logs, halving=True)).run() == []


@pytest.mark.parametrize(
    "change, message",
    [
        ({"rivals": "/nowhere"}, "/nowhere is no folder"),
        ({"confidence": 2}, "confidence is 2"),
        ({"version": "0.6"}, "no results of 'digits'"),
        ({"speed": 1}, "speed"),
    ],
)
def test_what_cannot_be_asked(trials, tmp_path, change, message):
    logs = rival(tmp_path / "logs", "slow", 20)
    with pytest.raises(ConfigError, match=message):
        Incremental(trials, Script({}), Silent(), policy(logs, **change))


def test_two_submissions_have_no_common_place(tmp_path):
    both = plan_of("workload=digits", "submission=nadamw,adamw", f"experiment_dir={tmp_path}")
    with pytest.raises(ConfigError, match="2 submissions"):
        Incremental(both, Script({}), Silent(), policy(tmp_path))


@pytest.mark.slow
@pytest.mark.timeout(300)  # starts several interpreters with torch
def test_real_trials_pause_and_go_on(data, tmp_path):
    """Paused at an eighth of 4 s, then when it is slower than its rival, which decides."""
    logs = rival(tmp_path / "logs", "fast", 1, workloads=("digits",))
    words = ["benchmark=incremental", "benchmark.workloads=[digits]", "study=0", "trial=1"]
    words += [f"benchmark.policy.rivals={logs}", "benchmark.policy.version=development"]
    words += ["submission.hparams.learning_rate=1e-9"]
    done = many(data, tmp_path, *words)
    assert done.returncode == 0, done.stdout
    assert "ahead" in done.stdout.splitlines()[-2]
    found = result(tmp_path / "nadamw/study_0/digits/trial_1")
    assert found["status"] == "paused" and found["attempts"] == 2
    assert 1.0 <= found["elapsed"] < 3.0
    assert many(data, tmp_path, *words).returncode == 0
    typed = many(data, tmp_path, "benchmark=incremental", "benchmark.workloads=[digits]")
    assert typed.returncode == 2 and "benchmark.policy.rivals has no value" in typed.stdout
