"""Do the parts of a sequential training know nothing of one another, and resume in the middle?"""

import numpy as np
import pytest

from algoperf_pt.errors import SubmissionError
from optimizers.sequential import Sequential
from tests.optimizers.golden_submission import Run, assert_resumes

NAME = "nadamw_sequential_self"
HINT = 8  # steps; the parts take 8, 8 and 6


def run(trial: Run, steps: int) -> Run:
    for _ in range(steps):
        trial.step()
    return trial


def test_each_part_is_a_training_of_its_own() -> None:
    """The second: the same parameters as a plain NAdamW on the batches that come then."""
    sequential = run(Run(NAME, step_hint=HINT), 8 + 5)
    options = sequential.config["submission"]["options"]["parts"][1]
    alone = Run("nadamw_baselinev05_self", step_hint=HINT)
    for group in alone.submission.optimizer.param_groups:  # type: ignore[attr-defined]
        group |= options["optimizer"]
    (update,) = alone.submission.updates  # type: ignore[attr-defined]
    update._peaks = [options["optimizer"]["lr"]]
    for _ in range(8):
        next(alone.batches)
    run(alone, 5)
    assert sequential.submission.updates[0].schedule.start == 8  # type: ignore[attr-defined]
    for name, value in alone.parameters().items():
        assert np.array_equal(sequential.parameters()[name], value)


def test_rates_start_anew_and_the_trial_ends_after_the_last_part() -> None:
    trial, rates, done = Run(NAME, step_hint=HINT), [], []
    for _ in range(8 + 8 + 6):
        trial.step()
        rates.append(trial.rates()[0])
        done.append(trial.submission.done)
    assert done == [False] * 21 + [True]
    peaks = [rates[0], rates[8], rates[16]]  # warm-ups of 0 steps at this hint
    assert peaks == [0.0014271957958295392, 0.001768509931943289, 0.0023792566965593815]
    assert rates[7] < 0.1 * peaks[0] and rates[15] < 0.1 * peaks[1]


@pytest.mark.parametrize("at", (3, 8, 11))
def test_it_resumes_in_any_part(at: int) -> None:
    assert_resumes(lambda: Run(NAME, step_hint=HINT), at, 19)


def test_no_parts_are_refused() -> None:
    with pytest.raises(SubmissionError, match="no part"):
        Sequential(parts=[], optimizer={"_target_": "torch.optim.SGD"})
