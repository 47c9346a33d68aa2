"""A trial that is alive looks alive at every moment."""

import math
import os
import signal
import struct

import pytest

from algoperf_pt.heartbeat import Beat, Heartbeat, Phase, parse_beat, read_clock
from algoperf_pt.supervise import Limits


def test_a_look_never_falls_between_two_beats():
    """The supervisor reads while the trial writes, and ends a trial that has been silent."""
    heartbeat = Heartbeat()
    heartbeat.beat(Phase.TRAIN, 1.0)
    child = os.fork()
    if child == 0:
        while True:
            heartbeat.beat(Phase.TRAIN, 1.0)
    try:
        looks = [heartbeat.read() for _ in range(200_000)]
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    assert min(at for at, _, _ in looks) > 0
    assert {(timed, phase) for _, timed, phase in looks} == {(1.0, Phase.TRAIN)}


def beats(clock, durations):
    """A trial whose steps take these seconds, with an evaluation of a minute after the third."""
    heartbeat = Heartbeat()
    heartbeat.beat(Phase.TRAIN, 0.0)
    for number, seconds in enumerate(durations):
        if number == 3:
            clock[0] += 60
            heartbeat.beat(Phase.EVAL, 0.0)
            heartbeat.beat(Phase.TRAIN, 0.0)
        clock[0] += seconds
        heartbeat.beat(Phase.TRAIN, 0.0)
    return heartbeat


def test_the_median_of_the_last_steps(monkeypatch):
    clock = [100.0]
    monkeypatch.setattr("algoperf_pt.heartbeat.time.monotonic", lambda: clock[0])
    assert beats(clock, [1.0] * 7).median_step() is None  # too few
    assert beats(clock, [9.0, 9.0] + [2.0] * 7).median_step() == pytest.approx(2.0)
    assert beats(clock, [9.0] * 100 + [0.5] * 40).median_step() == pytest.approx(0.5)  # the last 64


@pytest.mark.parametrize(
    "phase, median, expected",
    [
        (Phase.TRAIN, None, 1800),  # nothing is known yet: the upper bound
        (Phase.TRAIN, 0.05, 300),  # 20 steps are a second, which a slow disk takes: the floor
        (Phase.TRAIN, 40.0, 800),
        (Phase.TRAIN, 200.0, 1800),
        (Phase.EVAL, 0.05, 7200),
        (Phase.SETUP, None, 7200),
    ],
)
def test_how_long_a_trial_may_be_silent(phase, median, expected):
    limits = Limits(hang_steps=20, hang_floor=300, hang_timeout=1800, eval_timeout=7200)
    assert limits.silence(phase, median) == expected


def test_a_clock_file_of_an_earlier_version_keeps_its_reading(tmp_path):
    path = tmp_path / "clock.bin"
    path.write_bytes(struct.pack("<ddd", 5.0, 12.5, float(Phase.TRAIN)))
    assert Heartbeat(path).read() == (5.0, 12.5, Phase.TRAIN)
    assert read_clock(path) == (12.5, Phase.TRAIN)
    assert read_clock(tmp_path / "none") is None


def test_a_beat_says_more_than_the_clock(tmp_path):
    path = tmp_path / "clock.bin"
    heartbeat = Heartbeat(path)
    assert parse_beat(path.read_bytes()) == Beat(0.0, 0.0, Phase.SETUP, None)
    for timed in range(12):
        heartbeat.beat(Phase.TRAIN, float(timed))
    beat = parse_beat(path.read_bytes())
    assert (beat.at, beat.timed, beat.phase) == heartbeat.read()
    assert beat.step == heartbeat.median_step() > 0


def test_bytes_that_are_no_beat(tmp_path):
    odd = [struct.pack("<ddd", *beat) for beat in ((1, 2, 7), (1, 2, math.nan), (math.inf, 2, 1))]
    for content in (b"", b"x" * 40, *(start + bytes(512) for start in odd)):
        assert parse_beat(content) is None
        (tmp_path / "clock.bin").write_bytes(content)
        assert read_clock(tmp_path / "clock.bin") is None
