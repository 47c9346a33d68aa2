"""The stream of batches: the same for any number of workers, and errors arrive as they
were raised."""

import os
import signal
import subprocess
import sys
import time

import pytest
import torch

from algoperf_pt.data.loader import batches
from algoperf_pt.errors import DataError
from tests.support.runs import environment


def square(number):
    return {"x": torch.tensor([number, number**2])}


def broken_at_five(number):
    if number == 5:
        raise DataError("shard a.tar is short", expected="1000 bytes", where="a.tar", fix="again")
    return square(number)


def mistaken_at_five(number):
    if number == 5:
        raise FileNotFoundError("a mistake in the workload's own code")
    return square(number)


def killed_at_five(number):
    if number == 5:
        os.kill(os.getpid(), signal.SIGKILL)
    return square(number)


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_order_and_end(workers):
    found = [batch["x"].tolist() for batch in batches(square, 3, 9, workers, 2, False)]
    assert found == [[n, n * n] for n in range(3, 9)]


@pytest.mark.parametrize("workers", [0, 2])
def test_endless_and_closable(workers):
    stream = batches(square, 10**9, None, workers, 2, False)
    assert next(stream)["x"][0] == 10**9
    stream.close()


@pytest.mark.parametrize("workers", [0, 2])
def test_errors_keep_their_parts(workers):
    stream = batches(broken_at_five, 0, None, workers, 2, False)
    with pytest.raises(DataError) as caught:
        for _ in range(10):
            next(stream)
    assert (caught.value.problem, caught.value.expected) == ("shard a.tar is short", "1000 bytes")
    assert "Traceback" not in str(caught.value)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_mistake_in_code_is_no_dead_worker(workers):
    with pytest.raises(FileNotFoundError, match="own code"):
        for _ in batches(mistaken_at_five, 0, 9, workers, 2, False):
            pass


def run_alone(code):
    """The completed process of a program, which must end."""
    line = [sys.executable, "-c", code]
    return subprocess.run(line, env=environment(), capture_output=True, text=True, timeout=60)


def stuck_at_five(number):
    if number == 5:
        time.sleep(600)
    return square(number)


@pytest.mark.slow
def test_a_worker_that_is_stuck_keeps_nobody():
    """It heeds neither Ctrl-C nor SIGTERM; the program ends all the same."""
    code = (
        "from algoperf_pt.data.loader import batches\n"
        "from tests.data.test_loader import stuck_at_five\n"
        "stream = batches(stuck_at_five, 0, None, 2, 2, False)\n"
        "print(len([next(stream) for _ in range(5)]))\n"
    )
    done = run_alone(code)
    assert done.stdout == "5\n" and done.returncode == 0, done.stderr


def test_a_killed_worker_is_named():
    """In a process of its own: torch tells of a killed worker by a signal, wherever the
    program is."""
    code = (
        "from algoperf_pt.data.loader import batches\n"
        "from algoperf_pt.errors import DataError\n"
        "from tests.data.test_loader import killed_at_five\n"
        "try:\n"
        "    for batch in batches(killed_at_five, 0, None, 2, 2, False): pass\n"
        "except Exception as error: print(type(error).__name__, error)\n"
    )
    done = run_alone(code)
    told = done.stdout + done.stderr
    assert "a loader worker died" in told or "DataLoader worker" in told, told
