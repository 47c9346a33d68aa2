"""Does NAdamW compute its formula, in both forms, on every kind of tensor, and resume exactly?"""

import copy
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from optimizers.nadamw import NAdamW
from tests.optimizers import problem

SETTINGS: dict[str, Any] = {"lr": 0.02, "betas": (0.9, 0.99), "weight_decay": 0.1}


def tensors(seed: int = 0) -> list[Tensor]:
    """Vectors, matrices, one number, nothing, and a matrix stored by columns."""
    g = torch.Generator().manual_seed(seed)
    made = [torch.randn(shape, generator=g) for shape in ((3, 4), (7,), (), (0, 5), (2, 3, 2))]
    return [*made, torch.randn((5, 4), generator=g).T]


def run(optimizer: NAdamW, first: int, last: int, rates: bool = True) -> None:
    params = optimizer.param_groups[0]["params"]
    for step in range(first, last):
        for p, g in zip(params, tensors(seed=step + 1)):
            p.grad = g.to(p.dtype)
        if rates:
            optimizer.param_groups[0]["lr"] = 0.02 / (1 + step)
        optimizer.step()


def build(start: list[Tensor], **changes: Any) -> NAdamW:
    return NAdamW([t.clone().requires_grad_() for t in start], **{**SETTINGS, **changes})


@pytest.mark.parametrize("foreach", (True, False))
@pytest.mark.parametrize("case", ("raw_nadamw", "raw_nadamw_clip"))
def test_golden_trajectory(case: str, foreach: bool) -> None:
    meta = problem.meta()[case]
    found = problem.train(
        partial(NAdamW, **meta["kwargs"], foreach=foreach),
        label_smoothing=meta["label_smoothing"],
        grad_clip=meta["grad_clip"],
    )
    assert problem.largest_error(case, found) < 1e-5


@pytest.mark.parametrize("dtype", (torch.float32, torch.float64, torch.bfloat16))
@pytest.mark.parametrize("betas", ((0.9, 0.99), (0.0, 0.99), (0.9, 0.0), (0.0, 0.0)))
@pytest.mark.parametrize("weight_decay", (0.0, 0.1))
def test_both_forms_are_equal(
    dtype: torch.dtype, betas: tuple[float, float], weight_decay: float
) -> None:
    start = [t.to(dtype) for t in tensors()]
    both = [build(start, foreach=f, betas=betas, weight_decay=weight_decay) for f in (True, False)]
    for optimizer in both:
        run(optimizer, 0, 20)
    for fast, plain in zip(*(o.param_groups[0]["params"] for o in both)):
        assert torch.equal(fast, plain) and fast.isfinite().all()
        for name, value in both[0].state[fast].items():
            assert torch.equal(value, both[1].state[plain][name])


def test_against_the_formula_in_double_precision() -> None:
    b1, b2, eps, wd = 0.9, 0.99, 1e-8, 0.1
    optimizer = build([torch.linspace(-1, 1, 9, dtype=torch.float64)])
    (p,) = optimizer.param_groups[0]["params"]
    theta, m, v = p.detach().clone(), torch.zeros(9), torch.zeros(9)
    for t in range(1, 21):
        g = torch.sin(torch.arange(9.0, dtype=torch.float64) * t)
        lr = optimizer.param_groups[0]["lr"] = 0.02 / t
        p.grad = g
        optimizer.step()
        theta, m, v = theta * (1 - lr * wd), b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g * g
        ahead = (b1 * m + (1 - b1) * g) / (1 - b1**t)
        theta = theta - lr * ahead / ((v / (1 - b2**t)).sqrt() + eps)
    torch.testing.assert_close(p.detach(), theta, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("foreach", (True, False))
def test_resume_is_exact(foreach: bool) -> None:
    whole = build(tensors(), foreach=foreach)
    run(whole, 0, 12)
    first = build(tensors(), foreach=foreach)
    run(first, 0, 5)
    second = build([p.detach() for p in first.param_groups[0]["params"]], foreach=foreach)
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    run(second, 5, 12)
    for expected, found in zip(*(o.param_groups[0]["params"] for o in (whole, second))):
        assert torch.equal(expected, found)
        for name, value in whole.state[expected].items():
            assert torch.equal(value, second.state[found][name])


def test_state_is_named_and_typed_as_in_torch() -> None:
    optimizer = build(tensors())
    run(optimizer, 0, 3)
    for p, state in optimizer.state.items():
        assert list(state) == ["step", "exp_avg", "exp_avg_sq"]
        assert state["step"].dtype == torch.float32 and state["step"].device.type == "cpu"
        assert state["step"].item() == 3 and state["exp_avg"].stride() == p.stride()


def test_counters_that_differ_are_corrected_one_by_one() -> None:
    together = build([torch.ones(3), torch.ones(3)])  # the first gets gradients from step 2 on
    apart = [build([torch.ones(3)]), build([torch.ones(3)])]
    for step in range(4):
        for optimizer in (together, *apart[step < 2 :]):
            for p in optimizer.param_groups[0]["params"]:
                p.grad = torch.full((3,), 0.5 + step)
            if optimizer is together and step < 2:
                optimizer.param_groups[0]["params"][0].grad = None
            optimizer.step()
    params = together.param_groups[0]["params"]
    assert [together.state[p]["step"].item() for p in params] == [2, 4]
    for p, alone in zip(params, apart):
        assert torch.equal(p, alone.param_groups[0]["params"][0])


def test_no_gradient_no_change() -> None:
    optimizer = build([torch.ones(3), torch.ones(3)])
    optimizer.step()
    given, skipped = optimizer.param_groups[0]["params"]
    given.grad = torch.ones(3)
    optimizer.step()
    assert torch.equal(skipped, torch.ones(3)) and skipped not in optimizer.state
    assert not torch.equal(given, torch.ones(3))


def test_zero_gradient_decays_only() -> None:
    optimizer = build([torch.ones(3)])
    (p,) = optimizer.param_groups[0]["params"]
    p.grad = torch.zeros(3)
    optimizer.step()
    assert torch.equal(p.detach(), torch.ones(3) * (1 - 0.02 * 0.1))


@pytest.mark.parametrize("foreach", (True, False))
def test_bf16_gradient_of_a_float32_parameter(foreach: bool) -> None:
    gradient = torch.linspace(-1, 1, 6).bfloat16()
    mixed, full = build([torch.ones(6)], foreach=foreach), build([torch.ones(6)], foreach=foreach)
    (p,), (q,) = mixed.param_groups[0]["params"], full.param_groups[0]["params"]
    p.grad_dtype = None  # torch: take a gradient of any type
    p.grad, q.grad = gradient, gradient.float()
    mixed.step()
    full.step()
    assert p.dtype == torch.float32 and torch.equal(p, q)


@pytest.mark.parametrize("foreach", (True, False))
def test_mixed_types_in_one_group(foreach: bool) -> None:
    kinds = (torch.float32, torch.bfloat16, torch.float64)
    together = build([torch.ones(4, dtype=d) for d in kinds], foreach=foreach)
    alone = [build([torch.ones(4, dtype=d)], foreach=foreach) for d in kinds]
    for step in range(3):
        for optimizer in (together, *alone):
            for p in optimizer.param_groups[0]["params"]:
                p.grad = torch.linspace(-1, 1 + step, 4, dtype=p.dtype)
            optimizer.step()
    for p, single in zip(together.param_groups[0]["params"], alone):
        assert torch.equal(p, single.param_groups[0]["params"][0])


@pytest.mark.parametrize("foreach", (True, False))
def test_no_value_on_the_device_is_read(foreach: bool) -> None:
    """On the meta device there are no values: reading one (a wait, on a GPU) would raise."""
    optimizer = NAdamW([torch.ones(3, device="meta", requires_grad=True)], foreach=foreach)
    (p,) = optimizer.param_groups[0]["params"]
    for _ in range(3):
        p.grad = torch.ones(3, device="meta")
        optimizer.step()
    assert optimizer.state[p]["step"].item() == 3


def test_closure_is_called_with_gradients() -> None:
    p = torch.ones(3, requires_grad=True)
    optimizer = NAdamW([p])

    def closure() -> Tensor:
        optimizer.zero_grad()
        value = (p * p).sum()
        value.backward()
        return value

    assert optimizer.step(closure).item() == 3.0
    assert (p < 1).all()


def test_sparse_gradient_is_refused_before_anything_changes() -> None:
    dense, table = torch.ones(2, requires_grad=True), torch.ones(4, 2, requires_grad=True)
    optimizer = NAdamW([dense, table])
    dense.grad = torch.ones(2)
    table.grad = torch.sparse_coo_tensor([[1]], [[1.0, 1.0]], (4, 2), check_invariants=True)
    with pytest.raises(ValueError, match="sparse, expected dense"):
        optimizer.step()
    assert torch.equal(dense.detach(), torch.ones(2)) and not optimizer.state


@pytest.mark.parametrize(
    ("changes", "message"),
    (
        ({"lr": -1.0}, "lr = -1.0, expected a finite number of at least 0"),
        ({"lr": float("nan")}, "lr = nan, expected a finite"),
        ({"eps": -1e-8}, "eps = -1e-08, expected"),
        ({"weight_decay": -0.1}, "weight_decay = -0.1, expected"),
        ({"betas": (1.0, 0.9)}, r"betas\[0\] = 1.0, expected a number from 0 to below 1"),
        ({"betas": (0.9, -0.1)}, r"betas\[1\] = -0.1, expected"),
        ({"betas": (0.9,)}, r"betas = \(0.9,\), expected two numbers"),
    ),
)
def test_bad_settings_are_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build(tensors(), **changes)


@pytest.mark.parametrize("shape", [(1000,), (3, 700), (7, 40)])
def test_parts_of_large_tensors_change_no_bit(monkeypatch, shape):
    """Large tensors are updated part by part."""

    def trained(cached):
        monkeypatch.setattr("optimizers.multi_tensor._CACHED", cached)
        generator = torch.Generator().manual_seed(0)
        tensors = [torch.randn(shape, generator=generator), torch.randn(5, generator=generator)]
        tensors.append(torch.randn(40, 30, generator=generator).t())  # not contiguous
        params = [torch.nn.Parameter(tensor) for tensor in tensors]
        optimizer = NAdamW(params, lr=0.1, weight_decay=0.1)
        for _ in range(3):
            for p in params:
                p.grad = torch.randn(p.shape, generator=generator)
            optimizer.step()
        return params

    whole, parts = trained(10**9), trained(96)
    assert all(torch.equal(a, b) for a, b in zip(whole, parts))
