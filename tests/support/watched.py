"""Trial folders for those who watch: as a running trial leaves them, without a trial."""

import copy
import csv
import functools
import json

from algoperf_pt.config import compose_config
from algoperf_pt.heartbeat import Heartbeat, Phase

COLUMNS = ("accumulated_submission_time", "global_step", "total_duration", "validation/accuracy")


@functools.cache
def _config():
    return compose_config(["workload=digits", "trainer=cpu"], needs_data=False)


def config(**trainer):
    """A configuration of digits: target 0.985, 30 s."""
    made = copy.deepcopy(_config())
    made["trainer"].update(trainer)
    return made


def place(root, submission="nadamw", study=0, workload="digits", trial=1):
    """The folder of a trial; it is made."""
    folder = root / submission / f"study_{study}" / workload / f"trial_{trial}"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def planned(folder, content=None):
    """Its parent has planned it."""
    (folder / "planned.json").write_text(json.dumps(content or config()))


def started(folder, content=None):
    """It has begun."""
    (folder / "config.json").write_text(json.dumps(content or config()))
    (folder / "flags_0.json").write_text("{}")


def beat(folder, timed=3.0, phase=Phase.TRAIN):
    """It has made a step."""
    Heartbeat(folder / "clock.bin").beat(phase, timed)


def evaluated(folder, pairs, step=100):
    """Rows of (timed seconds, accuracy), `step` steps from one to the next."""
    path = folder / "eval_measurements.csv"
    new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        if new:
            writer.writerow(COLUMNS)
        writer.writerows((t, step * (i + 1), 2 * t, v) for i, (t, v) in enumerate(pairs))


def ended(folder, status="reached", **more):
    """It has told how it ended."""
    (folder / "result.json").write_text(json.dumps({"status": status, **more}))


def running(root, pairs=((1.0, 0.5), (2.0, 0.75)), **where):
    """A trial in the middle of its work."""
    folder = place(root, **where)
    started(folder)
    evaluated(folder, pairs)
    beat(folder)
    return folder
