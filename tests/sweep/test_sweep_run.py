"""The parent of many trials: what it starts, skips, refuses, and how it stops.  Its trials are
played by a script, without processes."""

import errno
import fcntl
import json
import os
import signal

import pytest

from algoperf_pt.errors import ConfigError
from algoperf_pt.status import Status
from algoperf_pt.sweep import run
from algoperf_pt.sweep.outcome import Outcome, overall
from algoperf_pt.sweep.run import Sweep
from tests.support.sweeps import Script, Silent, finish, plan_of

REACHED, FAILED = ("reached", 0), ("submission_error", 25)
ALL = {number: REACHED for number in range(1, 6)}


@pytest.fixture
def trials(tmp_path, monkeypatch):
    """The five trials of study 0, on no data."""
    monkeypatch.setattr(run, "_POLL", 0.001)
    monkeypatch.setattr(run, "_PATIENCE", 0.0)
    return plan_of("workload=digits", "submission=nadamw", "study=0", f"experiment_dir={tmp_path}")


def statuses(outcomes):
    return [None if o.status is None else o.status.value for o in outcomes]


def write_config(planned, **changes):
    planned.folder.mkdir(parents=True)
    (planned.folder / "config.json").write_text(json.dumps({**planned.config(), **changes}))


def test_all_end_as_they_should_some_at_a_time(trials):
    script = Script({**ALL, 2: ("budget", 10), 4: ("diverged", 13)})
    outcomes = Sweep(trials, script, Silent()).run()
    assert statuses(outcomes) == ["reached", "budget", "reached", "diverged", "reached"]
    assert overall(outcomes) == 0
    assert script.most == 2 and script.started == [1, 2, 3, 4, 5]


def test_what_is_over_is_skipped_and_what_is_not_goes_on(trials):
    for planned, status in zip(trials, ("reached", "user_stop", "out_of_memory_train")):
        write_config(planned)
        finish(planned.folder, status)
    script = Script(ALL)
    outcomes = Sweep(trials, script, Silent()).run()
    assert script.started == [2, 3, 4, 5]
    assert outcomes[0].before and overall(outcomes) == 0


def test_a_trial_that_dies_takes_nothing_else_along(trials):
    outcomes = Sweep(trials, Script({**ALL, 1: FAILED, 3: (None, -9)}), Silent()).run()
    found = ["submission_error", "reached", "rank_lost", "reached", "reached"]
    assert statuses(outcomes) == found and overall(outcomes) == 30
    assert outcomes[2].tail == ("first line", "last line")
    assert "killed by signal 9" in outcomes[2].message
    recorded = json.loads((trials[2].folder / "result.json").read_text())
    assert recorded["status"] == "rank_lost"  # nobody else could write it


def test_an_earlier_result_is_not_taken_for_that_of_this_attempt(trials):
    write_config(trials[0])
    finish(trials[0].folder, "user_stop")
    outcomes = Sweep(trials[:1], Script({1: (None, 2)}), Silent()).run()
    assert statuses(outcomes) == ["config_error"] and overall(outcomes) == 2


def test_a_changed_configuration_is_refused_with_the_difference_and_the_others_run(trials):
    write_config(trials[1], max_steps=77)
    finish(trials[1].folder, "reached")
    script = Script(ALL)
    outcomes = Sweep(trials, script, Silent()).run()
    assert script.started == [1, 3, 4, 5]
    assert statuses(outcomes)[1] == "config_error"
    assert "max_steps: 77 -> None" in outcomes[1].message
    assert overall(outcomes) == 2


def test_a_full_disk_ends_it(trials):
    script = Script({**ALL, 1: ("disk_full", 27)}, room=1)
    outcomes = Sweep(trials, script, Silent()).run()
    assert script.started == [1] and overall(outcomes) == 30
    assert statuses(outcomes) == ["disk_full", None, None, None, None]


def test_a_trial_that_cannot_be_started_is_named(trials):
    script = Script(ALL)

    def no_room(planned):
        if planned.trial == 1:
            raise OSError(errno.EACCES, os.strerror(errno.EACCES))

    script.on_start = no_room
    script.release = lambda running: None
    script.room = 5
    outcomes = Sweep(trials, script, Silent()).run()
    assert statuses(outcomes)[0] == "config_error" and "Permission denied" in outcomes[0].message


@pytest.mark.parametrize(
    "number, status, code", [(signal.SIGINT, "user_stop", 130), (signal.SIGTERM, "terminated", 143)]
)
def test_one_signal_stops_and_starts_no_more(trials, number, status, code):
    script, display = Script({}, room=5), Silent()  # there is room for all
    script.on_start = lambda planned: planned.trial == 3 and os.kill(os.getpid(), number)
    before = signal.getsignal(number)
    outcomes = Sweep(trials, script, display).run()
    assert signal.getsignal(number) is before
    assert script.started == [1, 2, 3]
    assert statuses(outcomes) == [status] * 5 and overall(outcomes) == code
    assert ("stopping", False) in display.told


def test_a_second_signal_kills(trials):
    script, display = Script({}), Silent()
    script.on_start = lambda planned: planned.trial == 2 and os.kill(os.getpid(), signal.SIGINT)

    class Stubborn(Silent):
        def stopping(self, running, kill):
            super().stopping(running, kill)
            if not kill:
                os.kill(os.getpid(), signal.SIGINT)

    display = Stubborn()
    monkey = pytest.MonkeyPatch()
    monkey.setattr("tests.support.sweeps.Actor.stop", lambda self: None)  # it does not listen
    outcomes = Sweep(trials, script, display).run()
    monkey.undo()
    assert ("stopping", True) in display.told and overall(outcomes) == 130


def test_two_parents_on_one_submission(trials):
    script = Script(ALL)

    def second(planned):
        if planned.trial == 1:
            with pytest.raises(ConfigError, match=f"another `-m` .* process {os.getpid()} on"):
                Sweep(trials, Script(ALL), Silent()).run()

    script.on_start = second
    assert overall(Sweep(trials, script, Silent()).run()) == 0
    assert overall(Sweep(trials, Script(ALL), Silent()).run()) == 0  # it is free again


def test_a_trial_that_runs_elsewhere_is_left_alone(trials):
    trials[1].folder.mkdir(parents=True)
    with (trials[1].folder / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        script = Script(ALL)
        outcomes = Sweep(trials, script, Silent()).run()
    assert script.started == [1, 3, 4, 5]
    assert "another process is running" in outcomes[1].message


def test_the_exit_code_of_the_whole():
    def codes(*names):
        return overall([Outcome(Status(name)) for name in names])

    assert codes("reached", "budget", "step_limit", "submission_done", "diverged") == 0
    assert codes("reached", "config_error") == 2
    assert codes("config_error", "hung") == codes("data_error") == 30
    assert codes("hung", "user_stop") == 130 and codes("hung", "terminated") == 143
    assert overall([]) == 0
