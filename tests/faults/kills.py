"""kill -9 at random instants: a process of a trial, whatever it is doing."""

import os
import signal
import time

import psutil

from algoperf_pt.heartbeat import CLOCK_FILE, Phase, read_clock
from tests.faults.place import ARGUMENTS, RESUMED, STEPS, end_of
from tests.faults.table import Fault, Seen

_SETTING_UP = 0.125  # share of the kills that come before the first step
_SET_UP = 3.0  # s within which those come
_STEP = 0.03  # s after a step's row within which the others come: evaluations take as long
_DOING = {Phase.SETUP: "set-up", Phase.TRAIN: "training", Phase.EVAL: "evaluation"}


def _kill(ranks):
    def harm(place, rng):
        running = place.start(*ARGUMENTS, ranks=ranks)
        if rng.random() < _SETTING_UP:
            running.until((running.folder / "config.json").exists)
            wait = rng.random() * _SET_UP
        else:
            row = int(rng.integers(STEPS))
            running.until(lambda: running.rows() > row)
            wait = rng.random() * _STEP
        time.sleep(wait)
        try:
            tree = running.tree()
            victim = str(rng.choice(sorted(tree)))
            every = [p for p in tree.values() for p in (p, *p.children(recursive=True))]
            os.kill(tree[victim].pid, signal.SIGKILL)
        except (psutil.NoSuchProcess, ProcessLookupError):
            victim, every = "nobody, it had ended", []
        read = read_clock(running.folder / CLOCK_FILE)
        doing = _DOING.get(read[1] if read else Phase.SETUP, "the end")
        code = running.process.wait(240)
        running.gone(every)
        seen = end_of(place, running.folder, code, ranks=ranks)
        told = f"{victim} killed in {doing}: {seen.message}" if seen.message else ""
        return Seen(seen.outcome, told, seen.lost)

    return harm


_KEPT = f"{RESUMED}; the clock charged what was redone"
FAULTS = [
    Fault(
        "kill -9 of any process, at a random instant, one rank",
        _KEPT,
        _kill(1),
        times=20,
        few=1,
        # the first process is the one whose exit code is seen
        outcomes=("rank_lost (23)", "no result (-9)", "step_limit", "reached"),
        slow=True,
    ),
    Fault(
        "kill -9 of any process, at a random instant, two ranks",
        _KEPT,
        _kill(2),
        times=20,
        few=0,
        outcomes=("rank_lost", "terminated", "no result (-9)", "step_limit", "reached"),
        slow=True,
    ),
]
