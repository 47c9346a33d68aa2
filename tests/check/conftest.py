"""`checked(path, ...)`: the report of a check whose runs are forks of this process, which has torch
already; nothing that a cheat does there comes back.
"""

import os
import sys
from pathlib import Path

import pytest

from algoperf_pt.check.examine import Options, examine
from algoperf_pt.check.probe import probe
from algoperf_pt.check.runs import Runner
from algoperf_pt.check.watch import WatchedClock  # noqa: F401: what it imports takes long


class Forks(Runner):
    """Runs as the command has them, but for the interpreter."""

    def start(self, task):
        output = task.with_suffix(".txt")
        child = os.fork()
        if child == 0:
            with output.open("w") as file:
                os.dup2(file.fileno(), 1)
                os.dup2(file.fileno(), 2)
            sys.path += map(str, self._subject.python_path)
            try:
                probe(task)
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        return output.read_text()


@pytest.fixture
def checked(all_data, tmp_path):
    def check(path, *words, workloads=("digits",), steps=8, compared=()):
        for name in workloads:
            folder = all_data.prepared(name)
        place = folder if workloads else tmp_path
        options = Options(words, workloads, place, steps, 300.0, compared)
        return examine(str(path), options, Path(tmp_path), lambda text: None, Forks)

    return check


@pytest.fixture
def found():
    """Verdict and evidence of each finding of a check, for a test to look into."""
    return lambda report, check: [
        (f.verdict, f.evidence) for f in report.findings if f.check == check
    ]
