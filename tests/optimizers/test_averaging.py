"""Which weights are judged, from when on, and does training go on from the others?"""

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from optimizers.averaging import Average, Ema, LawaQueue, Polyak
from tests.optimizers import problem
from tests.optimizers.golden_submission import Run
from tests.support.runs import assert_same

LIMIT = 1e-5  # relative to the largest value of a tensor, after 20 steps in single precision
PARTS: dict[str, Callable[..., Average]] = {
    "queue": lambda **when: LawaQueue(100, size=3, **when),
    "ema": lambda **when: Ema(100, beta=0.9, **when),
    "polyak": lambda **when: Polyak(100, **when),
}
every_part = pytest.mark.parametrize("name", PARTS)


@pytest.mark.parametrize("case", ("lawa_queue", "lawa_ema"))
def test_golden(case: str) -> None:
    """A call of the published files makes two updates, then puts the average into the model."""
    meta = problem.meta()[case]
    point = dict(meta["hyperparameters"])
    point.pop("lawa_inner_steps_frac")
    trial = Run(case, point, meta["step_hint"])
    seen: dict[str, Any] = {"lr": [], "loss": []}
    for call in range(1, meta["calls"] + 1):
        trial.step()
        seen["lr"].append(trial.rates())
        trial.step()
        seen["loss"].append(trial.workload.losses[-1])
        trial.submission.prepare_for_eval(trial.view)
        seen |= {f"step{call}/{n}": values for n, values in trial.parameters().items()}
        trial.submission.resume_training(trial.view)
    error = problem.largest_error(case, {key: np.asarray(values) for key, values in seen.items()})
    print(f"{case}: largest relative error {error:.1e}")
    assert error < LIMIT


def feed(part: Average, first: int, last: int) -> list[Tensor]:
    """Weights of value `step` after each 0-based step; what is judged after each."""
    judged = []
    for step in range(first, last):
        part.update([torch.full((2,), float(step)), torch.full((), 2.0 * step)], step)
        mean = part.averaged()
        judged.append(float("nan") if mean is None else mean[0][0].item())
        assert mean is None or mean[1].item() == pytest.approx(2 * judged[-1])
    return judged


def test_queue() -> None:
    judged = feed(PARTS["queue"](start_factor=0.02, interval_factor=0.03), 0, 15)  # 2, 5, 8, ...
    assert judged[:8] == pytest.approx([float("nan")] * 8, nan_ok=True)
    assert judged[8:] == [5.0] * 3 + [8.0] * 3 + [11.0]


def test_ema() -> None:
    judged = feed(PARTS["ema"](start_factor=0.03), 0, 6)
    assert judged == pytest.approx([float("nan")] * 3 + [3.0, 3.1, 3.29], nan_ok=True)


def test_polyak() -> None:
    judged = feed(PARTS["polyak"](start_factor=0.01), 0, 6)
    assert judged == pytest.approx([float("nan"), 1.0, 1.5, 2.0, 2.5, 3.0], nan_ok=True)


def test_start_and_interval_are_rounded_up() -> None:
    part = Polyak(41, start_factor=0.02, interval_factor=0.03)
    assert (part.start, part.interval) == (1, 2)
    assert (Polyak(41).start, Polyak(41).interval) == (0, 1)


def test_truncated_beta_is_that_of_the_published_file() -> None:
    assert Ema(100, beta=0.2, truncate=True).beta == 0.0 and Ema(100, beta=0.2).beta == 0.2
    assert feed(Ema(100, beta=0.2, truncate=True), 0, 4) == [0.0, 1.0, 2.0, 3.0]


@every_part
@pytest.mark.parametrize("cpu", (False, True))
def test_resumes_to_the_last_bit(name: str, cpu: bool) -> None:
    whole, first, second = (PARTS[name](cpu=cpu) for _ in range(3))
    expected = feed(whole, 0, 9)
    feed(first, 0, 4)
    file = io.BytesIO()
    torch.save(first.state_dict(), file)
    file.seek(0)
    second.load_state_dict(torch.load(file, weights_only=True))
    assert feed(second, 4, 9) == expected[4:]
    assert_same(whole.state_dict(), second.state_dict())


@every_part
def test_a_state_without_snapshots_can_be_loaded(name: str) -> None:
    first, second = PARTS[name](start_factor=0.5), PARTS[name](start_factor=0.5)
    feed(first, 0, 3)
    second.load_state_dict(first.state_dict())
    assert second.averaged() is None


@every_part
def test_weights_may_change_behind_a_snapshot(name: str) -> None:
    part = PARTS[name]()
    weights = [torch.ones(3)]
    for step in range(3):
        part.update(weights, step)
    weights[0].fill_(7.0)
    averaged = part.averaged()
    assert averaged is not None and torch.equal(averaged[0], torch.ones(3))


@every_part
def test_values_on_the_device_are_not_read(name: str) -> None:
    """On the meta device there are no values: reading one (a wait, on a GPU) would raise."""
    part = PARTS[name]()
    for step in range(5):
        part.update([torch.ones(3, device="meta")], step)
    averaged = part.averaged()
    assert averaged is not None and averaged[0].device.type == "meta"


def test_any_submission_can_have_one() -> None:
    averaged, plain = Run("adamw"), Run("adamw")
    averaged.submission.average = Polyak(41)  # type: ignore[attr-defined]
    seen: list[dict[str, np.ndarray]] = []
    for _ in range(4):
        averaged.step()
        plain.step()
        seen.append(plain.parameters())
        averaged.submission.prepare_for_eval(averaged.view)
        for name, values in averaged.parameters().items():
            mean = np.mean([past[name] for past in seen], axis=0)
            np.testing.assert_allclose(values, mean, rtol=1e-5, atol=1e-6)
        averaged.submission.resume_training(averaged.view)
        assert_same(averaged.workload.state_dict(), plain.workload.state_dict())


@pytest.mark.parametrize(
    ("make", "message"),
    (
        (lambda: LawaQueue(100, size=0), "size = 0, expected a whole number"),
        (lambda: Ema(100, beta=1.5), "beta = 1.5, expected a share"),
        (lambda: Polyak(100, start_factor=-0.1), "start_factor = -0.1, expected at least 0"),
        (lambda: Polyak(100, interval_factor=0.0), "interval_factor = 0.0, expected above 0"),
    ),
)
def test_bad_settings_are_named(make: Callable[[], Average], message: str) -> None:
    with pytest.raises(ValueError, match=f"average: {message}"):
        make()
