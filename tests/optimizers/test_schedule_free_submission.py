"""Do statistics of batch norm follow x in the steps that the YAML names, and does the self-tuning
entry start over when it should, and only then?
"""

from typing import Any

import pytest

from tests.optimizers.golden_submission import Run
from tests.support.runs import assert_same


def passes(trial: Run) -> list[tuple[bool, bool]]:
    """(with gradients, updates statistics) of every forward pass from now on."""
    seen: list[tuple[bool, bool]] = []
    inner = trial.engine.forward

    def forward(batch: Any, **settings: Any) -> Any:
        logits = inner(batch, **settings)
        seen.append((logits.requires_grad, settings["update_batch_norm"]))
        return logits

    trial.engine.forward = forward
    return seen


TRAINING, EXTRA = (True, False), (False, True)


@pytest.mark.parametrize(
    ("name", "expected"),
    (
        ("schedule_free_v2_self", [EXTRA, TRAINING, TRAINING, TRAINING, EXTRA, TRAINING]),
        ("schedule_free_v2", [TRAINING, EXTRA, TRAINING, EXTRA, TRAINING, TRAINING]),
        ("weighted_schedule_free", [TRAINING, EXTRA, TRAINING, EXTRA, TRAINING, TRAINING]),
        ("schedule_free_v1", [(True, True)] * 4),
        ("schedule_free_v1_self", [(True, True)] * 4),
    ),
)
def test_passes_of_four_steps(name: str, expected: list[tuple[bool, bool]]) -> None:
    trial = Run(name, batch_norm=True)
    seen = passes(trial)
    for _ in range(4):
        trial.step()
    assert seen == expected


def test_a_model_without_statistics_gets_no_extra_pass() -> None:
    trial = Run("schedule_free_v2")
    seen = passes(trial)
    for _ in range(4):
        trial.step()
    assert [gradients for gradients, _ in seen] == [True] * 4


def evaluate(trial: Run, value: float) -> None:
    """An evaluation with this value of the metric, as the harness makes it."""
    trial.submission.prepare_for_eval(trial.view)
    trial.evaluations.append({f"validation/{trial.view.spec.metric}": value})
    trial.submission.resume_training(trial.view)


def trained(values: list[float], steps: int, *overrides: str) -> Run:
    """The self-tuning entry, evaluated after each of the first steps; it tests from step 5 on."""
    trial = Run("schedule_free_v1_self", overrides=overrides)
    for number in range(steps):
        trial.step()
        if number < len(values):
            evaluate(trial, values[number])
    return trial


def restarts(values: list[float], *overrides: str) -> int:
    return trained(values, 8, *overrides).submission.restarts  # type: ignore[attr-defined]


def test_it_starts_over_where_nothing_gets_better() -> None:
    assert restarts([0.5, 0.5, 0.5, 0.5]) == 1
    assert restarts([0.5, 0.509, 0.501, 0.505]) == 1


@pytest.mark.parametrize(
    "values",
    (
        [0.5, 0.5, 0.5],  # too few
        [0.5, 0.5, 0.5, 0.52],  # between the last two, and since the first
        [0.5, 0.4, 0.42, 0.42],  # between two earlier ones
        [0.5, 0.508, 0.516, 0.524],  # since the first only
    ),
)
def test_it_goes_on_where_something_does(values: list[float]) -> None:
    assert restarts(values) == 0


def test_lower_may_be_better() -> None:
    falling = [0.5, 0.45, 0.4, 0.35]
    assert restarts(falling) == 1
    assert restarts(falling, "targets.workloads.digits.direction=min") == 0


def test_an_evaluation_is_tested_once() -> None:
    assert restarts([0.5] * 4) == 1
    assert restarts([0.5] * 8) == 3  # in steps 5, 6 and 7


def test_not_before_a_tenth_of_the_step_hint() -> None:
    values = [0.5] * 4
    assert restarts(values, "submission.options.after=0.2") == 0  # 8.2 steps
    assert trained(values, 5).submission.restarts == 0  # type: ignore[attr-defined]
    assert trained(values, 6).submission.restarts == 1  # type: ignore[attr-defined]


def test_a_new_start_is_one_at_half_the_rate() -> None:
    """With its warm-up, here of 9 steps."""
    warmup = "submission.schedule.warmup_factor=0.3"
    trial = trained([0.5] * 4, 5, warmup)
    half = "submission.optimizer.lr=0.00125"
    anew = Run("schedule_free_v1_self", overrides=(warmup, half))
    for _ in range(5):
        next(anew.batches)
    for _ in range(4):
        trial.step()
        anew.step()
        assert_same(trial.workload.model.state_dict(), anew.workload.model.state_dict())
        assert trial.rates() == anew.rates()
    state, other = trial.submission.state_dict(), anew.submission.state_dict()
    assert_same(state["optimizer"]["state"], other["optimizer"]["state"])


def test_a_restart_survives_a_resume() -> None:
    """With an evaluation that has not been tested yet."""
    whole, first = trained([0.5] * 7, 7), trained([0.5] * 7, 7)
    second = Run("schedule_free_v1_self")
    second.workload.load_state_dict(first.workload.state_dict())
    second.submission.load_state_dict(first.submission.state_dict())
    second.evaluations.extend(first.evaluations)
    second.step_number, second.batches = first.step_number, first.batches
    for _ in range(4):
        whole.step()
        second.step()
    assert whole.submission.restarts == 3  # type: ignore[attr-defined]
    assert_same(whole.submission.state_dict(), second.submission.state_dict())
    assert_same(whole.workload.model.state_dict(), second.workload.model.state_dict())
