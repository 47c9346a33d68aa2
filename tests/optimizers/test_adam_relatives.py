"""What makes each relative of Adam what it is?  One property of each, besides its golden path."""

import copy
import math

import pytest
import torch
from torch import Tensor

from optimizers.adafactor import Adafactor
from optimizers.adamg import AdamG
from optimizers.ademamix import AdEMAMix, mixing
from optimizers.cautious_nadamw import CautiousNAdamW
from optimizers.generalized_adam import GeneralizedAdam
from optimizers.lamb import LAMB
from optimizers.lion import Lion
from optimizers.nadamw import NAdamW

G = torch.Generator().manual_seed(0)
START = [torch.randn(4, 3, generator=G), torch.randn(5, generator=G)]
GRADIENTS = [[torch.randn(p.shape, generator=G) for p in START] for _ in range(6)]


def leaf(value: Tensor) -> Tensor:
    return value.clone().requires_grad_()


def trained(kind, steps=6, **settings):  # type: ignore[no-untyped-def]
    """(parameters, optimizer) after some steps with the same gradients for every rule."""
    params = [leaf(p) for p in START]
    optimizer = kind(params, **settings)
    for gradients in GRADIENTS[:steps]:
        for p, g in zip(params, gradients):
            p.grad = g.clone()
        optimizer.step()
    return params, optimizer


@pytest.mark.parametrize("foreach", (True, False))
def test_lamb_steps_are_as_long_as_the_tensor_times_the_rate(foreach: bool) -> None:
    big, zero = leaf(torch.full((10,), 3.0)), leaf(torch.zeros(10))
    optimizer = LAMB([big, zero], lr=0.1, foreach=foreach)
    for p in (big, zero):
        p.grad = torch.linspace(1, 2, 10)
    optimizer.step()
    assert (big - 3.0).norm().item() == pytest.approx(0.1 * 3 * math.sqrt(10), rel=1e-5)
    torch.testing.assert_close(zero.detach(), torch.full((10,), -0.1))  # as Adam


def test_adafactor_keeps_rows_and_columns_of_what_has_two_dimensions() -> None:
    shapes = {"kernel": (4, 2, 3, 5), "vector": (7,), "empty": (0, 5)}
    params = {name: leaf(torch.randn(shape)) for name, shape in shapes.items()}
    optimizer = Adafactor(params.values())
    for p in params.values():
        p.grad = torch.randn(p.shape)
    optimizer.step()
    kernel, vector, empty = (optimizer.state[p] for p in params.values())
    assert kernel["row"].shape == (4, 2, 3) and kernel["column"].shape == (4, 2, 5)
    assert vector["exp_avg_sq"].shape == (7,)
    unused = (kernel["exp_avg_sq"], vector["row"], vector["column"], empty["row"])
    assert all(tensor.numel() == 0 for tensor in unused)


def test_adafactor_bounds_the_rms_of_a_step() -> None:
    """The first step of all elements is 1 before momentum and rate; a threshold halves it."""
    for threshold, expected in ((1.0, 0.1), (0.5, 0.05)):
        p = leaf(torch.zeros(6))
        optimizer = Adafactor([p], lr=0.1, beta1=0.0, threshold=threshold)
        p.grad = torch.linspace(1, 6, 6)
        optimizer.step()
        torch.testing.assert_close(p.detach(), torch.full((6,), -expected))


def test_lion_moves_by_the_rate_or_not_at_all() -> None:
    p = leaf(torch.zeros(3))
    optimizer = Lion([p], lr=0.1)
    p.grad = torch.tensor([5.0, -1e-9, 0.0])
    optimizer.step()
    assert torch.equal(p.detach(), torch.tensor([-0.1, 0.1, 0.0]))


def test_ademamix_warm_ups() -> None:
    group = {"betas": (0.9, 0.99, 0.999), "alpha": 8.0, "alpha_warmup": 10, "beta3_warmup": 100}
    b3, alpha = mixing(5, group)
    assert alpha == pytest.approx(4.0)
    half = math.log(0.5) / math.log(b3)  # 5 % of the way from 6.6 steps to 693
    assert half == pytest.approx(0.95 * 6.5788 + 0.05 * 692.80, rel=1e-4)
    assert mixing(100, group) == (0.999, 8.0)
    assert mixing(1, {**group, "alpha_warmup": None, "beta3_warmup": None}) == (0.999, 8.0)


def test_ademamix_without_its_long_momentum_is_adamw() -> None:
    settings = {"lr": 0.1, "weight_decay": 0.1}
    ours, _ = trained(AdEMAMix, betas=(0.9, 0.99, 0.5), alpha=0.0, **settings)
    adamw, _ = trained(torch.optim.AdamW, betas=(0.9, 0.99), **settings)
    torch.testing.assert_close(ours, adamw)


def test_adamg_steps_shrink_with_the_root_of_their_number() -> None:
    free, _ = trained(AdamG, steps=4, lr=10.0)
    bound, _ = trained(AdamG, steps=4, lr=1.0)  # 1 / sqrt(t) is never above 1
    torch.testing.assert_close(free, bound)
    slow, _ = trained(AdamG, steps=1, lr=0.25)
    fast, _ = trained(AdamG, steps=1, lr=1.0)
    for a, b, start in zip(slow, fast, START):
        torch.testing.assert_close(4 * (a - start), b - start, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("foreach", (True, False))
def test_adamg_in_double_precision(foreach: bool) -> None:
    """With three different betas: the published ones are equal in two places."""
    b1, b2, b3, eps, wd, scale, power = 0.9, 0.99, 0.5, 1e-4, 0.1, 0.3, 0.4
    p = leaf(torch.linspace(-1, 1, 7, dtype=torch.float64))
    shape = {"scale": scale, "power": power, "foreach": foreach}
    optimizer = AdamG([p], lr=0.6, betas=(b1, b2, b3), eps=eps, weight_decay=wd, **shape)
    theta, m, v, q = p.detach().clone(), 0.0, 0.0, 0.0
    for t in range(1, 9):
        g = torch.sin(torch.arange(7.0, dtype=torch.float64) * t)
        p.grad = g.clone()
        optimizer.step()
        rate = min(0.6, 1 / math.sqrt(t))
        v = b2 * v + (1 - b2) * g**2
        q = b3 * q + (1 - b3) * scale * v**power
        m = b1 * m + (1 - b1) * q * g
        theta = theta * (1 - rate * wd)
        theta = theta - rate * (m / (1 - b1**t)) / ((v / (1 - b2**t)).sqrt() + eps)
    torch.testing.assert_close(p.detach(), theta, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("foreach", (True, False))
def test_cautious_nadamw_leaves_out_what_disagrees(foreach: bool) -> None:
    p = leaf(torch.ones(4))
    optimizer = CautiousNAdamW([p], lr=0.1, betas=(0.9, 0.99), foreach=foreach)
    p.grad = torch.ones(4)
    optimizer.step()
    before = p.detach().clone()
    p.grad = torch.tensor([1.0, 1.0, 1.0, -0.1])  # the last against its momentum
    optimizer.step()
    assert p[3] == before[3] and (p[:3] < before[:3]).all()
    usual = leaf(torch.ones(4))
    nadamw = NAdamW([usual], lr=0.1, betas=(0.9, 0.99))
    for gradient in (torch.ones(4), torch.tensor([1.0, 1.0, 1.0, -0.1])):
        before_usual = usual.detach().clone()
        usual.grad = gradient
        nadamw.step()
    torch.testing.assert_close((p - before)[:3], (usual - before_usual)[:3] / 0.75)


def test_cautious_nadamw_bounds_the_factor_where_nothing_agrees() -> None:
    p = leaf(torch.ones(4))
    optimizer = CautiousNAdamW([p], lr=0.1, weight_decay=0.5)
    p.grad = torch.ones(4)
    optimizer.step()
    before = p.detach().clone()
    p.grad = torch.full((4,), -0.01)
    optimizer.step()
    torch.testing.assert_close(p.detach(), before * (1 - 0.1 * 0.5))  # decay is not masked


def test_generalized_adam_holds_nadamw_and_momentum() -> None:
    settings = {"lr": 0.1, "betas": (0.9, 0.99), "weight_decay": 0.1}
    nadamw, _ = trained(NAdamW, **settings)
    torch.testing.assert_close(trained(GeneralizedAdam, **settings)[0], nadamw)
    for nesterov in (True, False):
        sgd, _ = trained(torch.optim.SGD, lr=0.1, momentum=0.9, nesterov=nesterov)
        plain = {"lr": 0.1, "betas": (0.9, 0.0), "disable_preconditioning": True}
        ours, _ = trained(GeneralizedAdam, nesterov=nesterov, **plain)
        torch.testing.assert_close(ours, sgd)


def test_generalized_adam_without_preconditioning_keeps_no_second_moments() -> None:
    _, optimizer = trained(GeneralizedAdam, disable_preconditioning=True)
    assert all(set(state) == {"step", "exp_avg"} for state in optimizer.state.values())
    copied = copy.deepcopy(optimizer)
    copied.load_state_dict(optimizer.state_dict())
    assert copied.buffers == {"exp_avg": None}


@pytest.mark.parametrize(
    ("kind", "changes", "message"),
    (
        (Adafactor, {"decay": 1.0}, "decay = 1.0, expected a number above 0 and below 1"),
        (Adafactor, {"eps": 0.0}, "eps = 0.0, expected"),
        (Adafactor, {"threshold": 0.0}, "threshold = 0.0, expected a number above 0"),
        (Adafactor, {"beta1": 1.0}, r"betas\[0\] = 1.0, expected"),
        (AdEMAMix, {"alpha_warmup": 0}, "alpha_warmup = 0, expected steps above 0"),
        (AdEMAMix, {"betas": (0.9, 0.99)}, "expected three numbers"),
        (AdamG, {"scale": -1.0}, "scale = -1.0, expected"),
        (GeneralizedAdam, {"power": 0.0}, "power = 0.0, expected a number above 0"),
        (LAMB, {"weight_decay": -1.0}, "LAMB: weight_decay = -1.0, expected"),
        (Lion, {"betas": (0.9, 1.0)}, r"Lion: betas\[1\] = 1.0, expected"),
        (CautiousNAdamW, {"eps": -1.0}, "CautiousNAdamW: eps = -1.0, expected"),
    ),
)
def test_bad_settings_are_named(kind, changes, message) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match=message):
        kind([leaf(torch.ones(2))], **changes)
