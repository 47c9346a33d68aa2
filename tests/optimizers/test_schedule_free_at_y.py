"""Is the form without a closure that of optax, and does x appear only where it is judged?"""

import math

import pytest
import torch

from optimizers.schedule_free_at_y import ScheduleFreeAdamWAtY
from tests.optimizers.golden_submission import Run
from tests.support.runs import assert_same

B1, B2, WD = 0.9, 0.99, 0.1


@pytest.mark.parametrize("lag", (False, True))
def test_against_the_formula_in_double_precision(lag: bool) -> None:
    """x as a weighted mean of all z, y between x and z."""
    p = torch.linspace(-1, 1, 9, dtype=torch.float64).requires_grad_()
    optimizer = ScheduleFreeAdamWAtY([p], betas=(B1, B2), weight_decay=WD, lag=lag)
    x = y = z = p.detach().clone()
    v, zs, weights, rates = torch.zeros(9), [], [], [0.0]
    for t in range(1, 21):
        rates.append(0.1 * math.sin(t) ** 2)
        optimizer.param_groups[0]["lr"] = rates[-1]
        p.grad = g = torch.sin(torch.arange(9.0, dtype=torch.float64) * t)
        optimizer.step()
        v = B2 * v + (1 - B2) * g * g
        z = z - rates[-2 if lag else -1] * (g / ((v / (1 - B2**t)).sqrt() + 1e-8) + WD * y)
        zs.append(z)
        weights.append(max(rates) ** 2)
        x = sum((w * z for w, z in zip(weights, zs)), torch.zeros(9)) / sum(weights)
        y = B1 * x + (1 - B1) * z
        torch.testing.assert_close(p.detach(), y, rtol=1e-12, atol=1e-13)
    optimizer.to_x()
    torch.testing.assert_close(p.detach(), x, rtol=1e-12, atol=1e-13)


def test_a_learning_rate_of_zero_does_not_stop_the_average() -> None:
    p = torch.ones(3, requires_grad=True)
    optimizer = ScheduleFreeAdamWAtY([p], lr=0.0)
    for lr, c in ((0.0, 0.0), (0.1, 1.0), (0.1, 0.5)):
        optimizer.param_groups[0]["lr"] = lr
        p.grad = torch.ones(3)
        optimizer.step()
        assert optimizer.param_groups[0]["c"] == c and p.isfinite().all()


def test_before_the_first_step_x_is_y() -> None:
    trial = Run("schedule_free_jax_self")
    before = trial.parameters()
    trial.submission.prepare_for_eval(trial.view)
    assert all((before[name] == values).all() for name, values in trial.parameters().items())


def test_statistics_of_x_leave_training_alone() -> None:
    """The two entries differ in running statistics only."""
    at_y = Run("schedule_free_jax_self", batch_norm=True)
    at_x = Run("schedule_free_jax_v2_self", batch_norm=True)
    for step in range(7):
        (before,) = at_x.workload.statistics()
        old = before["running_mean"].clone()
        at_y.step()
        at_x.step()
        (after,) = at_x.workload.statistics()
        assert torch.equal(old, after["running_mean"]) == (step % 3 != 0)
    assert_same(dict(at_y.view.named_parameters()), dict(at_x.view.named_parameters()))


def test_no_share_of_x_in_y_is_refused() -> None:
    with pytest.raises(ValueError, match=r"betas\[0\] = 0.0, expected above 0"):
        ScheduleFreeAdamWAtY([torch.ones(2, requires_grad=True)], betas=(0.0, 0.99))
