"""The timed loop: batch, step, clock.  Nothing else happens here, because everything here is on the
clock.
"""

from collections.abc import Iterator

import lightning as L

from algoperf_pt.errors import SubmissionError
from algoperf_pt.trial import Trial
from algoperf_pt.workload_data import Batch


def train(trial: Trial, clock: L.Callback) -> None:
    """Train until the trial says stop.  `clock` gets Lightning's hooks; it times, evaluates, and
    tells the trial to stop.
    """
    module = trial.workload
    before, after = clock.on_train_batch_start, clock.on_train_batch_end
    step = trial.train_step
    batches = trial.batches()
    clock.on_train_start(trial, module)  # type: ignore[arg-type]
    while not trial.should_stop:
        batch = _next(batches)
        number = trial.step
        before(trial, module, batch, number)  # type: ignore[arg-type]
        outputs = step(batch)
        after(trial, module, outputs, batch, number)  # type: ignore[arg-type]
    clock.on_train_end(trial, module)  # type: ignore[arg-type]


def _next(batches: Iterator[Batch]) -> Batch:
    try:
        return next(batches)
    except StopIteration:
        raise SubmissionError(
            "Submission.select ended although training goes on",
            expected="an endless iterator",
            fix="loop over the incoming batches, which never end",
        ) from None
