"""Signals of a scheduler, ranks that sleep or die, loader workers that die."""

import os
import signal
import time

from tests.faults.place import ARGUMENTS, FOLDER, RESUMED, STEPS, end_of
from tests.faults.table import Fault, Seen
from tests.support.runs import OPTIMIZER, result

_STOPPED = f"a checkpoint at the step of the stop; {RESUMED}"


def _signal(number, ranks, everybody, workers=0):
    """A signal at a random step, to the first process or to all of its session."""

    def harm(place, rng):
        running = place.start(*ARGUMENTS, f"data.workers={workers}", ranks=ranks)
        row = int(rng.integers(STEPS - 10))
        running.until(lambda: running.rows() > row)
        if everybody:
            os.killpg(running.process.pid, number)
        else:
            running.process.send_signal(number)
        code = running.wait()
        step = result(running.folder).get("step")
        saved = (running.folder / f"checkpoint_{step}").is_dir()
        # nothing is redone: it goes on where it stopped
        seen = end_of(place, running.folder, code, ranks=ranks, message=running.said() or "nothing")
        lost = seen.lost if saved else f"no checkpoint at step {step}: {running.said()}"
        return Seen(seen.outcome, seen.message, lost)

    return harm


def _sleeps(ranks):
    """The last rank sleeps in a step: the watchdog of any rank ends the trial."""

    def harm(place, rng):
        at = int(rng.integers(12, STEPS))
        env = {"TEST_SLEEP_AT": str(at), "TEST_KILL_RANK": str(ranks - 1)}
        running = place.start(*ARGUMENTS, "trainer.hang_floor=3", ranks=ranks, env=env)
        code = running.wait()
        stacks = [running.folder / f"stacks_rank_{rank}.txt" for rank in range(ranks)]
        words = [path.read_text() if path.exists() else "" for path in stacks]
        told = all("most recent call first" in text for text in words)
        seen = end_of(place, running.folder, code, ranks=ranks)
        return Seen(seen.outcome, seen.message, seen.lost or ("" if told else "no stacks"))

    return harm


def _rank_dies(place, rng):
    at, rank = int(rng.integers(STEPS)), int(rng.integers(2))
    env = {"TEST_KILL_AT": str(at), "TEST_KILL_RANK": str(rank)}
    running = place.start(*ARGUMENTS, ranks=2, env=env)
    return end_of(place, running.folder, running.wait(), ranks=2)


def _worker_dies(place, rng):
    """kill -9 of a loader worker: training or evaluation notices at its next batch."""
    running = place.start(*ARGUMENTS, "data.workers=2")
    row = int(rng.integers(STEPS - 40))  # batches that are ready are still used
    running.until(lambda: running.rows() > row)
    workers = running.tree()["trial of rank 0"].children()
    os.kill(workers[int(rng.integers(len(workers)))].pid, signal.SIGKILL)
    return end_of(place, running.folder, running.wait())


def _second_signal(place, rng):
    """Ctrl-C twice: it does not wait for the end of a step that lasts."""
    slow = (f"submission._target_={OPTIMIZER}Hang", *ARGUMENTS[1:])
    running = place.start(*slow)
    running.until(lambda: running.rows() > 4)
    for _ in range(2):
        os.killpg(running.process.pid, signal.SIGINT)
        time.sleep(1.2)
    code = running.wait()
    found = result(place.scratch / FOLDER)["status"]
    return Seen(f"{found} ({code})", running.said(), "")


def _fault(name, kept, harm, times, outcome, few=0):
    """One with a single right end; the suite has other tests of most of them."""
    return Fault(name, kept, harm, times, few, (outcome,), slow=True)


FAULTS = [
    _fault(
        "SIGTERM to the first process, one rank",
        _STOPPED,
        _signal(signal.SIGTERM, 1, False),
        times=5,
        outcome="terminated (143)",
    ),
    _fault(
        "SIGTERM to every process, with loader workers, one rank",
        _STOPPED,
        _signal(signal.SIGTERM, 1, True, workers=2),
        times=3,
        outcome="terminated (143)",
    ),
    _fault(
        "SIGTERM to the first process, two ranks",
        _STOPPED,
        _signal(signal.SIGTERM, 2, False),
        times=3,
        outcome="terminated (143)",
    ),
    _fault(
        "Ctrl-C, with loader workers, one rank",
        _STOPPED,
        _signal(signal.SIGINT, 1, True, workers=2),
        times=3,
        outcome="user_stop (130)",
    ),
    _fault(
        "Ctrl-C twice within a step that does not end",
        "it ends at once",
        _second_signal,
        times=1,
        outcome="user_stop (130)",
    ),
    _fault(
        "a step that sleeps, one rank",
        f"stacks are kept; {RESUMED}",
        _sleeps(1),
        times=3,
        outcome="hung (22)",
    ),
    _fault(
        "a rank that sleeps, two ranks",
        f"stacks of both are kept; {RESUMED}",
        _sleeps(2),
        times=2,
        outcome="hung (22)",
    ),
    _fault("a rank that dies in a step, two ranks", RESUMED, _rank_dies, 3, "rank_lost (23)"),
    _fault("a loader worker that dies", RESUMED, _worker_dies, 5, "data_error (24)", few=1),
]
