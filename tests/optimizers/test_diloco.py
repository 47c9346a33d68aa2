"""Is DiLoCo on one worker the published one, and are the slow weights judged?"""

from typing import Any

import numpy as np
import pytest
import torch

from algoperf_pt.errors import SubmissionError
from optimizers.diloco import DilocoSubmission
from tests.optimizers import problem
from tests.optimizers.golden_submission import Run
from tests.support.runs import assert_same

LIMIT = 1e-5  # relative to the largest value of a tensor, after 20 steps in single precision
EVERY_FOURTH = "submission.options.period=4"


def test_golden() -> None:
    """Fast and slow weights, in steps before, at and between outer steps."""
    trial = Run("diloco_self", step_hint=150, overrides=(EVERY_FOURTH,))
    seen: dict[str, Any] = {"lr": []}
    for step in range(1, 21):
        trial.step()
        seen["lr"] += trial.rates()
        seen |= {f"step{step}/{n}": values for n, values in trial.parameters().items()}
        trial.submission.prepare_for_eval(trial.view)
        seen |= {f"step{step}/slow.{n}": values for n, values in trial.parameters().items()}
        trial.submission.resume_training(trial.view)
    error = problem.largest_error(
        "single_worker_diloco", {key: np.asarray(values) for key, values in seen.items()}
    )
    print(f"single_worker_diloco: largest relative error {error:.1e}")
    assert error < LIMIT


def test_outer_steps_against_the_formula_in_double_precision() -> None:
    """With an inner optimizer of learning rate 1 and no momentum, on any gradients."""
    sgd = "submission.optimizer={_target_: torch.optim.SGD, lr: 0.01, weight_decay: 0.0}"
    outer = ("submission.options.period=3", "submission.schedule=null")
    trial = Run("diloco_self", overrides=(sgd, *outer))
    trial.workload.double()
    trial.submission.setup(trial.view, trial.hparams)
    slow = trial.parameters()
    velocity = {name: np.zeros_like(values) for name, values in slow.items()}
    for batch in range(9):
        inputs = next(trial.batches)
        inputs["inputs"] = inputs["inputs"].double()
        before = trial.parameters()
        trial.submission.step(trial.view, inputs)
        gradients = {n: p.grad.numpy() for n, p in trial.workload.model.named_parameters()}
        trial.step_number += 1
        for name, values in trial.parameters().items():
            fast = before[name] - 0.01 * gradients[name]
            if batch % 3 == 2:
                delta = slow[name] - fast
                velocity[name] = 0.7675 * velocity[name] + delta
                slow[name] = slow[name] - 0.3006 * (delta + 0.7675 * velocity[name])
                fast = slow[name]
            np.testing.assert_allclose(values, fast, rtol=1e-12, atol=1e-14)


def test_training_goes_on_from_the_fast_weights() -> None:
    judged, plain = (Run("diloco_self", overrides=(EVERY_FOURTH,)) for _ in range(2))
    for _ in range(6):
        judged.step()
        plain.step()
        judged.submission.prepare_for_eval(judged.view)
        same = torch.equal(judged.workload.model.w1, plain.workload.model.w1)
        assert same == (judged.step_number % 4 == 0)  # right after an outer step
        judged.submission.resume_training(judged.view)
        assert_same(judged.workload.state_dict(), plain.workload.state_dict())
    assert_same(judged.submission.state_dict(), plain.submission.state_dict())


@pytest.mark.parametrize(
    ("override", "message"),
    (
        ("submission.options.period=0", "submission.period=0 cannot be used"),
        ("submission.options.outer_momentum=1.0", "submission.outer_momentum=1.0 cannot"),
        ("submission.options.outer_lr=-1.0", "submission.outer_lr=-1.0 cannot"),
    ),
)
def test_bad_settings_are_named(override: str, message: str) -> None:
    with pytest.raises(SubmissionError, match=message):
        Run("diloco_self", overrides=(override,))


def test_another_average_is_refused() -> None:
    average = {"_target_": "optimizers.averaging.Polyak"}
    with pytest.raises(SubmissionError, match="null: slow weights are judged"):
        DilocoSubmission({}, period=1, outer_lr=1.0, outer_momentum=0.0, average=average)
