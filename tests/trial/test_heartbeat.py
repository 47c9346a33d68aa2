"""A trial that is alive looks alive at every moment."""

import os
import signal

from algoperf_pt.heartbeat import Heartbeat, Phase


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
