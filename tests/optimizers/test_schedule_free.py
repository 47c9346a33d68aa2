"""Are the schedule-free rules the published ones, is the gradient taken at y, and does every
parameter come back to x?
"""

import math
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from optimizers.schedule_free import (
    ScheduleFree,
    ScheduleFreeAdamWV1,
    ScheduleFreeAdamWV2,
    WeightedScheduleFreeAdamW,
)
from optimizers.schedules import Warmup
from tests.optimizers import problem
from tests.optimizers.golden_submission import run_case

LIMIT = 1e-5  # relative to the largest value of a tensor, after 20 steps in single precision
RULES: dict[str, type[ScheduleFree]] = {
    "raw_schedule_free_v1": ScheduleFreeAdamWV1,
    "raw_schedule_free_v2": ScheduleFreeAdamWV2,
    "raw_weighted_schedule_free": WeightedScheduleFreeAdamW,
}
SUBMISSIONS = {
    "schedule_free_v1_external": "schedule_free_v1",
    "schedule_free_v1_self": "schedule_free_v1_self",
    "schedule_free_v2_external": "schedule_free_v2",
    "schedule_free_v2_external_bn": "schedule_free_v2",
    "schedule_free_v2_self": "schedule_free_v2_self",
    "schedule_free_v2_self_bn": "schedule_free_v2_self",
    "weighted_schedule_free_external": "weighted_schedule_free",
}
OWN_WARMUP = ("lr",)  # the published classes warm up inside; their groups show the peak


@pytest.mark.parametrize("foreach", (True, False))
@pytest.mark.parametrize("case", RULES)
def test_golden(case: str, foreach: bool) -> None:
    kwargs = dict(problem.meta()[case]["kwargs"])
    warmup = Warmup(kwargs.pop("warmup_steps"), warmup_factor=1.0)
    found = problem.train(partial(RULES[case], **kwargs, foreach=foreach), warmup)
    error = problem.largest_error(case, found, OWN_WARMUP)
    print(f"{case} foreach={foreach}: largest relative error {error:.1e}")
    assert error < LIMIT


@pytest.mark.parametrize("case", SUBMISSIONS)
def test_golden_submission(case: str) -> None:
    """With batch norm the running statistics, too."""
    found = run_case(case, SUBMISSIONS[case])
    assert ("running_mean" in found) == case.endswith("_bn")
    error = problem.largest_error(case, found, OWN_WARMUP)
    print(f"{case}: largest relative error {error:.1e}")
    assert error < LIMIT


def step(optimizer: ScheduleFree, gradients: list[Tensor | None]) -> list[Tensor]:
    """One update with given gradients; the parameters that the closure saw."""
    params = optimizer.param_groups[0]["params"]
    seen: list[Tensor] = []

    def closure() -> float:
        seen.extend(p.detach().clone() for p in params)
        for p, g in zip(params, gradients):
            p.grad = g
        return 0.0

    optimizer.step(closure)
    return seen


def build(kind: type[ScheduleFree], count: int = 1, **changes: Any) -> ScheduleFree:
    settings = {"lr": 0.1, "betas": (0.9, 0.99), "weight_decay": 0.1, **changes}
    values = torch.linspace(-1, 1, 9, dtype=torch.float64)
    return kind([values.clone().requires_grad_() for _ in range(count)], **settings)


def gradient(t: int) -> Tensor:
    return torch.sin(torch.arange(9.0, dtype=torch.float64) * t)


def test_v2_against_the_formula_in_double_precision() -> None:
    """The average x as a weighted mean of all z, and Adam's root with its correction in place."""
    optimizer = build(ScheduleFreeAdamWV2)
    (p,) = optimizer.param_groups[0]["params"]
    x = z = p.detach().clone()
    v, zs, weights = torch.zeros(9), [], []
    for t in range(1, 21):
        lr = optimizer.param_groups[0]["lr"] = 0.1 * math.sin(t) ** 2
        y, g = 0.9 * x + 0.1 * z, gradient(t)
        (seen,) = step(optimizer, [g])
        torch.testing.assert_close(seen, y, rtol=1e-12, atol=1e-14)
        v = 0.99 * v + 0.01 * g * g
        rate = lr * math.sqrt(1 - 0.99**t)
        z = z - rate * 0.1 * y - rate * g / (v.sqrt() + 1e-8)
        zs.append(z)
        weights.append(lr**2)
        x = sum((w * z for w, z in zip(weights, zs)), torch.zeros(9)) / sum(weights)
        torch.testing.assert_close(p.detach(), x, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("kind", RULES.values())
def test_a_parameter_that_gets_no_gradient_any_more_stays(kind: type[ScheduleFree]) -> None:
    """The published V1 and V2 let it creep from x to z."""
    optimizer = build(kind, count=2)
    idle, _ = optimizer.param_groups[0]["params"]
    for t in range(1, 4):
        step(optimizer, [gradient(t), gradient(t)])
    x = idle.detach().clone()
    assert not torch.allclose(optimizer.state[idle]["z"], x)
    for t in range(4, 24):
        step(optimizer, [None, gradient(t)])
    torch.testing.assert_close(idle.detach(), x, rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("kind", RULES.values())
def test_a_first_gradient_may_come_late(kind: type[ScheduleFree]) -> None:
    """Its bias correction counts its own steps; the other parameter is not disturbed."""
    together, alone = build(kind, count=2), build(kind)
    late, early = together.param_groups[0]["params"]
    for t in range(1, 5):
        step(together, [gradient(t) if t > 2 else None, gradient(t)])
        step(alone, [gradient(t)])
    assert torch.equal(early, alone.param_groups[0]["params"][0])
    assert together.state[late]["step"].item() == 2 and late.isfinite().all()


@pytest.mark.parametrize("kind", (ScheduleFreeAdamWV1, ScheduleFreeAdamWV2))
def test_a_learning_rate_of_zero_does_not_stop_the_average(kind: type[ScheduleFree]) -> None:
    optimizer = build(kind, lr=0.0)
    (p,) = optimizer.param_groups[0]["params"]
    start = p.detach().clone()
    step(optimizer, [gradient(1)])
    torch.testing.assert_close(p.detach(), start, atol=1e-6, rtol=0)
    optimizer.param_groups[0]["lr"] = 0.1
    step(optimizer, [gradient(2)])
    assert optimizer.param_groups[0]["c"] == pytest.approx(1.0)


def test_weighted_with_a_learning_rate_of_zero() -> None:
    optimizer = build(WeightedScheduleFreeAdamW, lr=0.0)
    start = optimizer.param_groups[0]["params"][0].detach().clone()
    step(optimizer, [gradient(1)])
    assert torch.equal(optimizer.param_groups[0]["params"][0].detach(), start)
    assert optimizer.param_groups[0]["c"] == 0.0


def test_state_is_of_the_promised_size() -> None:
    for kind, size in zip(RULES.values(), (6, 8, 12)):
        p = torch.ones(100, requires_grad=True)
        optimizer = kind([p])
        step(optimizer, [torch.ones(100)])
        state = [t for name, t in optimizer.state[p].items() if name != "step"]
        assert sum(t.numel() * t.element_size() for t in state) == 100 * size


def test_no_share_of_x_in_y_is_refused() -> None:
    with pytest.raises(ValueError, match=r"betas\[0\] = 0.0, expected above 0"):
        build(ScheduleFreeAdamWV2, betas=(0.0, 0.99))
