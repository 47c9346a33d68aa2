"""Values that are not finite, memory that runs out, a system clock that is set while it runs."""

import contextlib
import io
import time
from unittest.mock import patch

import torch

from algoperf_pt.summary import print_summary
from algoperf_pt.view import WorkloadView
from tests.faults.place import ARGUMENTS, OVER, RESUMED, SAME, STEPS, end_of, outcome
from tests.faults.table import Fault, Seen
from tests.support.runs import assert_equal_runs, result, rows, run_inside, untimed
from workloads.mnist.data import MnistData
from workloads.mnist.workload import MnistWorkload

HOUR = 3600.0


def _inside(place, *arguments):
    """(exit code, folder, what was printed) of a trial in this process."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        code, folder = run_inside(place.data, place.scratch, *(arguments or ARGUMENTS))
    return code, folder, out.getvalue()


def _nan_first_row(batch):
    inputs = batch["inputs"].clone()
    inputs[0] = float("nan")
    return {**batch, "inputs": inputs}


def nan_in_a_batch(place, rng):
    at, forward = int(rng.integers(STEPS)), WorkloadView.forward

    def broken(self, batch, *args, **kwargs):
        given = _nan_first_row(batch) if self.step == at else batch
        return forward(self, given, *args, **kwargs)

    with patch.object(WorkloadView, "forward", broken):
        code, folder, _ = _inside(place)
    return Seen(outcome(folder, code), _shown(folder), _diverged(place, folder, at))


def nan_in_a_gradient(place, rng):
    """The loss is finite, a gradient is not: the next loss shows it, or the evaluation."""
    at, backward = int(rng.integers(STEPS)), WorkloadView.backward

    def broken(self, loss):
        backward(self, loss)
        if self.step == at:
            next(self.parameters()).grad[0] = float("nan")

    with patch.object(WorkloadView, "backward", broken):
        code, folder, _ = _inside(place)
    return Seen(outcome(folder, code), _shown(folder), _diverged(place, folder, at))


def _diverged(place, folder, at):
    """Rows before the fault are those of the undisturbed trial; nothing was reached after it."""
    found, lost = result(folder), ""
    if not at <= found["step"] <= at + 2:
        lost = f"NaN at step {at}, it ended at step {found['step']}"
    evaluated = (folder / "eval_measurements.csv").exists()  # not before step 10
    before = untimed(folder, "eval_measurements.csv") if evaluated else []
    whole = untimed(place.whole(), "eval_measurements.csv")
    sound = [row for row in before if int(row["global_step"]) <= at]
    if sound != whole[: len(sound)]:
        lost = lost or "rows before the fault differ"
    return lost


def nan_in_an_evaluation(place, rng):
    """A picture of the validation split is NaN: the metric is, the trial goes on and reaches
    nothing."""
    build = MnistData.build

    def broken(self, split, indices, augment):
        batch = build(self, split, indices, augment)
        return _nan_first_row(batch) if split == "validation" else batch

    with patch.object(MnistData, "build", broken):
        code, folder, said = _inside(place)
    reached = result(folder)["time_to_target"]["validation"]
    metric = rows(folder)[-1]["validation/loss"]
    lost = "" if metric == "nan" and code in OVER else f"validation/loss {metric}, code {code}"
    return Seen(outcome(folder, code), f"validation/loss {metric}; reached: {reached}", lost)


def _memory(where):
    """torch's or Python's own error, in a step or in an evaluation."""

    def harm(place, rng):
        kind, count = (torch.OutOfMemoryError, MemoryError)[int(rng.integers(2))], [0]
        name, most = ("eval_step", 27) if where == "eval" else ("forward", STEPS)
        at, whole = int(rng.integers(1, most + 1)), getattr(MnistWorkload, name)

        def out_of_memory(self, *args, **kwargs):
            count[0] += self.training if where == "train" else 1
            if count[0] == at:
                raise kind("out of memory: tried to allocate 2 GiB")
            return whole(self, *args, **kwargs)

        with patch.object(MnistWorkload, name, out_of_memory):
            code, folder, _ = _inside(place)
        return end_of(place, folder, code)

    return harm


def clock_is_set(place, rng):
    """time.time jumps by hours, forth and back, several times: only timestamps of the event log may
    show it."""
    real, count = time.time, [0]
    jumps = rng.integers(-30, 30, size=7) * HOUR

    def jumping():
        count[0] += 1
        return real() + jumps[count[0] % len(jumps)]

    began = time.monotonic()
    with patch("time.time", jumping):
        code, folder, _ = _inside(place)
    wall = time.monotonic() - began
    lost = "" if count[0] > 10 else "time.time was not asked"
    timed = [float(row["score"]) for row in rows(folder)]
    total = float(rows(folder)[-1]["total_duration"])
    if timed != sorted(timed) or not 0 < total <= wall:
        lost = lost or f"clock {timed}, total {total} of {wall} s"
    try:
        assert_equal_runs(place.whole(), folder, STEPS)
    except AssertionError as error:
        lost = lost or f"the end differs: {error}"
    said = f"clock {timed[-1]:.2f} s, all {total:.2f} s, wall {wall:.2f} s"
    return Seen(outcome(folder, code), said, lost)


def _shown(folder):
    """What is printed at the end of a trial."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        print_summary(folder)
    return out.getvalue().replace(str(folder), "FOLDER")


_BEFORE = "it ends within two steps; rows before it are those of an undisturbed trial"
FAULTS = [
    Fault("NaN in a batch", _BEFORE, nan_in_a_batch, 10, 1, ("diverged (13)",)),
    Fault("NaN in a gradient", _BEFORE, nan_in_a_gradient, 10, 1, ("diverged (13)",)),
    Fault(
        "NaN in a picture of the validation split",
        "the metric is NaN and reaches nothing; training goes on",
        nan_in_an_evaluation,
        times=1,
        few=1,
        outcomes=("step_limit (11)",),
    ),
    Fault(
        "out of memory in a step", RESUMED, _memory("train"), 10, 1, ("out_of_memory_train (20)",)
    ),
    Fault(
        "out of memory in an evaluation",
        RESUMED,
        _memory("eval"),
        times=10,
        few=1,
        outcomes=("out_of_memory_eval (21)",),
    ),
    Fault(
        "the system's clock is set by hours, forth and back, at every look at it",
        f"the submission's clock grows evenly and stays below the wall time; {SAME}",
        clock_is_set,
        times=10,
        few=1,
        outcomes=("step_limit (11)", "reached (0)"),
    ),
]
