"""Two real trials are watched while they run; one is killed, the other is stopped."""

import signal
import subprocess
import sys
import time

import psutil
import pytest

from algoperf_pt.status import Status
from algoperf_pt.watch.tree import Tree
from algoperf_pt.watch.view import Live
from tests.support.runs import ROOT, environment
from tests.support.sweeps import many

ENDLESS = ("targets.workloads.digits.validation_target=2", "max_steps=1000000")
ENDLESS += ("targets.workloads.digits.max_runtime=3000",)


def until(tree, met):
    """The trials, when `met` holds for them."""
    end = time.monotonic() + 90
    while not met(views := tree.look().views):
        assert time.monotonic() < end, views
        time.sleep(0.1)
    return views


def first_process(parent, trial):
    """The process of a trial that its parent has started."""
    for child in parent.children():
        if any(f"trial_{trial}/planned.json" in word for word in child.cmdline()):
            return child
    raise AssertionError(f"no process of trial {trial}")


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_two_trials_live(data, tmp_path):
    root = tmp_path / "experiments"
    words = ("workload=digits", "study=0", "trial=1,2", "hydra.launcher.parallel=2", *ENDLESS)
    sweep = many(data, root, *words, background=True)
    try:
        while not root.exists():
            time.sleep(0.1)
        tree = Tree(root)
        views = until(tree, lambda vs: len(vs) == 2 and all(v.evaluations > 5 for v in vs))
        assert {view.state for view in views} == {Live.RUNNING}
        assert all(view.step_time > 0 and view.attempts == 1 for view in views)
        used = [view.used for view in views]
        until(tree, lambda vs: all(v.used > u for v, u in zip(vs, used)))
        first_process(psutil.Process(sweep.pid), 1).kill()
        views = until(tree, lambda vs: vs[0].state is not Live.RUNNING)
        assert [view.state for view in views] == [Status.RANK_LOST, Live.RUNNING]
        assert "killed by signal 9" in views[0].message
        sweep.send_signal(signal.SIGTERM)
        until(tree, lambda vs: vs[1].state is Status.TERMINATED)
    finally:
        sweep.kill()
        sweep.communicate()
    line = [sys.executable, "-m", "algoperf_pt.watch", str(root), "--once"]
    shown = subprocess.run(line, env=environment(), cwd=ROOT, capture_output=True, text=True).stdout
    assert "1 rank lost, 1 terminated" in shown
