"""The table of all trials: what waits, runs, ended and failed."""

import io

from rich.console import Console

from algoperf_pt.heartbeat import Heartbeat, Phase
from algoperf_pt.status import Status
from algoperf_pt.sweep.outcome import Outcome
from algoperf_pt.sweep.table import LiveTable, progress
from tests.support.sweeps import plan_of


def test_the_live_table(tmp_path):
    trials = plan_of("workload=digits", "study=0", f"experiment_dir={tmp_path}")
    running = trials[2]
    running.folder.mkdir(parents=True)
    assert progress(running) == "starts"
    Heartbeat(running.folder / "clock.bin").beat(Phase.EVAL, 12.0)
    text = "score,validation/accuracy\n1,0.5\n2,0.875\n3,0.75\n"
    (running.folder / "eval_measurements.csv").write_text(text)
    assert progress(running) == "40 %, accuracy 0.875, evaluates"
    reached = Outcome(Status.REACHED, result={"time_to_target": {"validation": 3.25}})
    failed = Outcome(Status.OOM_TRAIN, "OutOfMemoryError: [4] GiB", ("first", "last"))
    outcomes = {trials[0]: reached, trials[1]: failed}
    console = Console(file=io.StringIO(), force_terminal=True, width=160)
    table = LiveTable(trials, console)
    table.begin("2 at a time", {})
    table.finished(trials[1], failed)
    table.refresh(outcomes, {running: "GPU 3"})
    table.stopping(1, kill=False)
    table.refresh(outcomes, {running: "GPU 3"})
    table.end(outcomes)
    shown = console.file.getvalue()
    for part in (
        "reached 3.25 s",
        "out of memory train",
        "40 %, accuracy 0.875",
        "1 of 5 over, 1 running; 2 at a time",
        "once more kills",
        "OutOfMemoryError: [4] GiB",
        "| last",
    ):
        assert part in shown, part
