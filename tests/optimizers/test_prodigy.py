"""Is Prodigy the published one, does it find its distance, and does it never wait for the device?

Tolerance: v, s and each |s| are bfloat16, so rounding alone moves d by some 1e-4.
"""

import math
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import Tensor

from optimizers.prodigy import ScheduleFreeProdigy
from tests.optimizers import problem
from tests.optimizers.golden_submission import Run, run_case
from tests.support.runs import rows, run_command, run_inside, state

LIMIT = 5e-3  # relative to the largest value of a tensor, after 20 steps


@pytest.mark.parametrize("foreach", (True, False))
def test_golden(foreach: bool) -> None:
    kwargs = problem.meta()["raw_schedule_free_prodigy"]["kwargs"]
    found = problem.train(partial(ScheduleFreeProdigy, **kwargs, foreach=foreach))
    error = problem.largest_error("raw_schedule_free_prodigy", found)
    print(f"raw_schedule_free_prodigy foreach={foreach}: largest relative error {error:.1e}")
    assert error < LIMIT


def test_golden_submission() -> None:
    """The published file shows a step's multiplier only after it: 1, then those of steps 0, 1..."""
    found = run_case("schedule_free_prodigy", "schedule_free_prodigy")
    found["lr"] = found["lr"][[-1, *range(19)]]
    error = problem.largest_error("schedule_free_prodigy", found)
    print(f"schedule_free_prodigy: largest relative error {error:.1e}")
    assert error < 1e-4


class Double(ScheduleFreeProdigy):
    """All state in double precision, to be compared with the formula."""

    buffers = dict.fromkeys(ScheduleFreeProdigy.buffers)


def train(optimizer: torch.optim.Optimizer, first: int, last: int) -> None:
    params = [p for group in optimizer.param_groups for p in group["params"]]
    for number in range(first, last):

        def closure() -> float:
            for i, p in enumerate(params):
                p.grad = p.detach() - torch.cos(torch.arange(p.numel(), dtype=p.dtype) + i + number)
            return 0.0

        optimizer.step(closure)  # type: ignore[arg-type]


@pytest.mark.parametrize("foreach", (True, False))
def test_against_the_formula_in_double_precision(foreach: bool) -> None:
    b1, b2, eps, wd, lr, r = 0.8, 0.9, 1e-3, 0.1, 0.7, 0.75
    start = [torch.linspace(-1, 1, n, dtype=torch.float64) for n in (5, 3)]
    optimizer = Double(
        [p.clone().requires_grad_() for p in start],
        **{"lr": lr, "betas": (b1, b2), "eps": eps, "weight_decay": wd, "r": r},
        d0=0.1,
        foreach=foreach,
    )
    d, n, weights = 0.1, 0.0, 0.0
    x, z = [p.clone() for p in start], [p.clone() for p in start]
    v, s = ([torch.zeros_like(p) for p in start] for _ in range(2))
    for t in range(1, 13):
        q, inner, size = d * lr, 0.0, 0.0
        grads = []
        for i, p in enumerate(start):
            y = b1 * x[i] + (1 - b1) * z[i]
            g = y - torch.cos(torch.arange(p.numel(), dtype=p.dtype) + i + t - 1)
            inner += float(g @ (p - z[i]))
            v[i] = b2 * v[i] + (1 - b2) * (d * g) ** 2
            s[i] = math.sqrt(b2) * s[i] + d * q * g
            size += float(s[i].abs().sum())
            grads.append(g)
        n = math.sqrt(b2) * n + d * q * inner
        d = max(d, n / size)
        weights += t**r
        for i, g in enumerate(grads):
            z[i] = z[i] - wd * q * x[i] - d * q * g / (v[i].sqrt() + d * eps)
            x[i] = x[i] + (z[i] - x[i]) * t**r / weights
        train(optimizer, t - 1, t)
        assert optimizer.param_groups[0]["d"].item() == pytest.approx(d, rel=1e-12)
        for p, expected in zip(optimizer.param_groups[0]["params"], x):
            torch.testing.assert_close(p.detach(), expected, rtol=1e-11, atol=1e-12)
    assert d > 0.2  # it has moved


def test_d_grows_from_nothing_to_the_distance() -> None:
    p = torch.zeros(20, requires_grad=True)
    optimizer = ScheduleFreeProdigy([p])

    def closure() -> float:
        p.grad = (p.detach() - 3).sign()
        return 0.0

    distances = []
    for _ in range(100):
        optimizer.step(closure)  # type: ignore[arg-type]
        distances.append(optimizer.param_groups[0]["d"].item())
    assert distances == sorted(distances) and distances[0] == pytest.approx(1e-6)
    assert 0.3 < distances[-1] < 30.0  # 3 in every coordinate


def test_as_long_as_gradients_are_zero_nothing_counts() -> None:
    p = torch.ones(3, requires_grad=True)
    optimizer = ScheduleFreeProdigy([p], weight_decay=0.5)

    def closure() -> float:
        p.grad = torch.zeros(3)
        return 0.0

    for _ in range(3):
        optimizer.step(closure)  # type: ignore[arg-type]
    (group,) = optimizer.param_groups
    assert torch.equal(p.detach(), torch.ones(3)) and group["k"] == group["weight_sum"] == 0
    assert group["d"].item() == pytest.approx(1e-6)


def test_groups_have_distances_of_their_own() -> None:
    near, far = torch.ones(4, requires_grad=True), torch.full((4,), 50.0, requires_grad=True)
    optimizer = ScheduleFreeProdigy([{"params": [near]}, {"params": [far]}], d0=0.01)
    train(optimizer, 0, 30)
    first, second = (group["d"].item() for group in optimizer.param_groups)
    assert second > 2 * first


def test_types_and_counters_share_one_distance() -> None:
    """A group of several multi-tensor updates has sums over all of them."""
    values = torch.linspace(-1, 1, 6)
    whole = Double([values.clone().requires_grad_()], d0=0.1)
    parts: list[Tensor] = [values[:2].clone().requires_grad_(), values[2:].clone().requires_grad_()]
    apart = Double(parts, d0=0.1)
    for number in range(6):

        def closure(params: list[Tensor]) -> float:
            g = torch.cos(torch.arange(6.0) * (number + 1))
            for p, part in zip(params, [g] if len(params) == 1 else [g[:2], g[2:]]):
                p.grad = part
            return 0.0

        if number == 3:  # as if one of the two had missed a step
            apart.state[parts[0]]["step"] -= 1
        for optimizer in (whole, apart):
            params = optimizer.param_groups[0]["params"]
            optimizer.step(partial(closure, params))  # type: ignore[arg-type]
    expected = whole.param_groups[0]["params"][0].detach()
    torch.testing.assert_close(torch.cat(parts).detach(), expected)


def test_one_pass_a_step() -> None:
    """The published file makes two; its first does nothing but update running statistics."""
    trial = Run("schedule_free_prodigy", batch_norm=True)
    for _ in range(3):
        trial.step()
    (statistics,) = trial.workload.statistics()
    assert len(trial.workload.losses) == 3 == statistics["num_batches_tracked"]


def test_bad_settings_are_named() -> None:
    p = [torch.ones(2, requires_grad=True)]
    with pytest.raises(ValueError, match="ScheduleFreeProdigy: d0 = 0.0, expected"):
        ScheduleFreeProdigy(p, d0=0.0)
    with pytest.raises(ValueError, match="d_coef = -1.0, expected"):
        ScheduleFreeProdigy(p, d_coef=-1.0)


@pytest.mark.ddp
def test_two_ranks_find_the_distance_of_one(data: Path, tmp_path: Path) -> None:
    """Its sums are of gradients that are averaged over ranks, so they need no exchange."""
    options = ("submission=schedule_free_prodigy", "submission.schedule.warmup_factor=0.0")
    more = ("submission.optimizer.d0=1.0e-4", "max_steps=12", "eval_every_steps=12")
    more = (*more, "logger.first=12")
    _, one = run_inside(data, tmp_path / "one", *options, *more)
    done = run_command(data, tmp_path / "two", *options, *more, "trainer.devices=2")
    assert done.returncode == 11, done.stderr
    two = tmp_path / "two" / one.relative_to(tmp_path / "one")
    (group,), (other,) = (
        state(folder, 12)[0]["submission"]["optimizer"]["param_groups"] for folder in (one, two)
    )
    assert group["d"].item() > 2e-4  # it has moved
    assert other["d"].item() == pytest.approx(group["d"].item(), rel=1e-3)
    losses = [[float(row["loss"]) for row in rows(f, "measurements.csv")[:12]] for f in (one, two)]
    assert losses[1] == pytest.approx(losses[0], rel=1e-3)
