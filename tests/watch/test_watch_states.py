"""What a trial does, or how it ended, by its files alone."""

import json
import math
import os
import struct
import time

import pytest

from algoperf_pt.heartbeat import Heartbeat, Phase
from algoperf_pt.status import Status
from algoperf_pt.watch.life import Now, now
from algoperf_pt.watch.tree import Tree
from algoperf_pt.watch.view import Kind, Live, View, state_words, target_words, used_words
from tests.support import watched


def look(root, **options):
    (view,) = Tree(root, **options).look().views
    return view


def age(folder, seconds):
    """Everything in a folder was written so many seconds ago."""
    then = time.time() - seconds
    for path in folder.iterdir():
        os.utime(path, (then, then))


def beat_at(folder, at, timed=3.0, phase=Phase.TRAIN):
    content = bytearray((folder / "clock.bin").read_bytes())
    content[:24] = struct.pack("<ddd", at, timed, float(phase))
    (folder / "clock.bin").write_bytes(content)


def test_a_trial_in_the_middle_of_its_work(tmp_path):
    folder = watched.running(tmp_path)
    view = look(tmp_path)
    assert (view.state, view.kind, view.doing) == (Live.RUNNING, Kind.ACTIVE, "train")
    assert (view.submission, view.study, view.workload, view.trial) == ("nadamw", 0, "digits", 1)
    assert (view.metric, view.best.validation, view.facts.target) == ("accuracy", 0.75, 0.985)
    assert (view.used, view.share, view.evaluations, view.attempts) == (3.0, 0.1, 2, 1)
    assert (view.step_time, view.reached_at, view.guess) == (None, None, None)
    assert view.silent < 60
    assert view.path == "nadamw/study_0/digits/trial_1"
    heartbeat = Heartbeat(folder / "clock.bin")
    for timed in range(20):
        heartbeat.beat(Phase.TRAIN, float(timed))
    assert look(tmp_path).step_time == heartbeat.median_step()


@pytest.mark.parametrize("phase", list(Phase))
def test_what_it_does(tmp_path, phase):
    folder = watched.running(tmp_path)
    watched.beat(folder, phase=phase)
    assert look(tmp_path).doing == phase.name.lower()
    shown = "running" if phase is Phase.TRAIN else f"running, {phase.name.lower()}"
    assert state_words(look(tmp_path)) == shown


@pytest.mark.parametrize(
    "phase, silent, state",
    [
        (Phase.TRAIN, 1700, Live.RUNNING),
        (Phase.TRAIN, 1900, Live.STALLED),
        (Phase.EVAL, 1900, Live.RUNNING),
        (Phase.EVAL, 7300, Live.STALLED),
    ],
)
def test_silent_for_longer_than_its_supervisor_allows(tmp_path, phase, silent, state):
    folder = watched.running(tmp_path)
    beat_at(folder, time.monotonic() - silent, phase=phase)
    age(folder, silent + 10)
    assert look(tmp_path).state is state
    assert look(tmp_path, stalled=20.0).state is Live.STALLED


def test_the_words_of_a_stall(tmp_path):
    folder = watched.running(tmp_path)
    beat_at(folder, time.monotonic() - 3000)
    age(folder, 3600)
    assert state_words(look(tmp_path)) == "stalled 50.0 min"


def test_a_row_that_was_written_is_a_sign_of_life(tmp_path):
    folder = watched.running(tmp_path)
    beat_at(folder, time.monotonic() - 9000)
    assert look(tmp_path).state is Live.RUNNING


def test_a_beat_of_another_machine_counts_when_it_is_seen_to_change(tmp_path, monkeypatch):
    """Its monotonic clock says nothing here."""
    folder = watched.running(tmp_path)
    beat_at(folder, -1e9)
    age(folder, 3600)
    tree, begin = Tree(tmp_path), now()
    assert tree.look().views[0].state is Live.STALLED
    beat_at(folder, -1e9 + 2)
    age(folder, 3600)
    assert tree.look().views[0].state is Live.RUNNING
    later = Now(begin.wall + 1860, begin.monotonic + 1860)
    monkeypatch.setattr("algoperf_pt.watch.tree.now", lambda: later)
    assert tree.look().views[0].state is Live.STALLED


def test_a_clock_from_the_future_is_no_sign_of_life(tmp_path):
    folder = watched.running(tmp_path)
    beat_at(folder, time.monotonic() + 1e6)
    age(folder, -1e6)
    assert look(tmp_path).silent is None


def test_a_second_attempt_sets_up_on_an_old_beat(tmp_path):
    folder = watched.running(tmp_path)
    beat_at(folder, time.monotonic() - 9000)
    age(folder, 9000)
    watched.started(folder)
    view = look(tmp_path)
    assert (view.state, view.doing) == (Live.RUNNING, "setup")


def test_planned_and_not_started(tmp_path):
    watched.planned(watched.place(tmp_path))
    view = look(tmp_path)
    assert (view.state, view.kind, view.facts.target) == (Live.WAITING, Kind.ACTIVE, 0.985)


def test_started_without_a_beat(tmp_path):
    watched.started(watched.place(tmp_path))
    view = look(tmp_path)
    assert (view.state, view.doing, view.used) == (Live.RUNNING, "setup", None)


@pytest.mark.parametrize("status", list(Status))
def test_every_end_has_its_name(tmp_path, status):
    folder = watched.running(tmp_path)
    watched.ended(folder, status.value, elapsed=4.0, step=400, message="why\nmore")
    view = look(tmp_path)
    assert (view.state, view.used, view.message, view.silent) == (status, 4.0, "why", None)
    assert view.step_time == pytest.approx(0.01)
    assert state_words(view) == status.value.replace("_", " ")


def test_the_kinds_of_ends():
    kinds = {"reached": Kind.REACHED, "diverged": Kind.OVER, "paused": Kind.STOPPED}
    kinds |= {"terminated": Kind.STOPPED, "hung": Kind.FAILED, "budget": Kind.OVER}
    for status, kind in kinds.items():
        assert View("key", "path", "s", 0, "w", 1, Status(status)).kind is kind


def test_the_target_is_reached_by_the_result_or_by_the_rows(tmp_path):
    folder = watched.running(tmp_path, pairs=[(1.0, 0.5), (2.0, 0.985), (3.0, 0.99), (4.0, 0.5)])
    assert look(tmp_path).reached_at == 3.0  # the target must be passed
    watched.ended(folder, time_to_target={"validation": 2.5, "test": None})
    assert look(tmp_path).reached_at == 2.5
    assert target_words(look(tmp_path)) == "at 2.5 s"


def test_a_guess_is_marked(tmp_path):
    pairs = [(t, 0.925 + 0.02 * math.log(t)) for t in range(1, 11)]
    folder = watched.running(tmp_path, pairs=pairs)
    view = look(tmp_path)
    assert view.guess.time == pytest.approx(math.exp(3))
    assert target_words(view) == "~ at 20.1 s (20.1 s – 20.1 s)"
    watched.ended(folder, "budget")
    assert target_words(look(tmp_path)) == "–"


def test_a_guess_behind_the_budget(tmp_path):
    watched.running(tmp_path, pairs=[(t, 0.5 + 0.1 * math.log(t)) for t in range(1, 11)])
    assert target_words(look(tmp_path)) == "~ not within the budget"


def test_time_used_in_words(tmp_path):
    watched.running(tmp_path)
    assert used_words(look(tmp_path)) == "3.0 s (10 %)"


@pytest.mark.parametrize(
    "content",
    ["{", "[]", '{"status": "won"}', '{"status": {"a": 1}}', '{"status": null}', "9" * 5000],
)
def test_a_result_that_is_none_of_ours(tmp_path, content):
    folder = watched.running(tmp_path)
    (folder / "result.json").write_text(content)
    assert look(tmp_path).state is Live.UNREADABLE


TARGETS = ("metric", "direction", "strict", "validation_target", "test_target", "max_runtime")
ODD = [math.nan, math.inf, "a", None, True, [], {}, -1, 10**400, {"a": 1}, "x" * 9999, 1e308]


@pytest.mark.parametrize("value", ODD, ids=lambda v: repr(v)[:12])
def test_any_value_at_any_place_of_the_configuration(tmp_path, value):
    """Each key that is read holds something odd: there is a view, and it can be told."""
    folder = watched.running(tmp_path)
    watched.ended(folder, elapsed=value, step=value, message=value, time_to_target=value)
    for path in (
        ("workload",),
        ("targets",),
        ("targets", "workloads", "digits"),
        *(("targets", "workloads", "digits", key) for key in TARGETS),
        ("ruleset", "name"),
        ("submission", "hparams"),
        ("submission", "hparams", "learning_rate"),
        ("trainer",),
        ("trainer", "hang_timeout"),
    ):
        content = watched.config()
        *inner, last = path
        node = content
        for key in inner:
            node = node[key]
        node[last] = value
        (folder / "config.json").write_text(json.dumps(content))
        view = look(tmp_path)
        assert all(map(str, (state_words(view), used_words(view), target_words(view))))
        assert view.state is Status.REACHED


def test_a_clock_that_is_none_of_ours(tmp_path):
    folder = watched.running(tmp_path)
    for content in (b"", b"x" * 10_000, struct.pack("<ddd", 1, math.inf, 1) + bytes(512)):
        (folder / "clock.bin").write_bytes(content)
        assert look(tmp_path).state is Live.RUNNING
    (folder / "clock.bin").unlink()
    (folder / "clock.bin").symlink_to("/dev/zero")
    assert look(tmp_path).notes == ("clock.bin: a link",)
