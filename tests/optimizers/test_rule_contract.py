"""Does every update rule descend, resume to the last bit, and take every kind of tensor?"""

import copy
import io
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.optim import Optimizer

from optimizers.multi_tensor import MultiTensor
from tests.optimizers.rules import RULES, Rule
from tests.support.runs import assert_same

OURS = [rule for rule in RULES if rule.ours]
FORMS = [rule for rule in OURS if issubclass(rule.kind, MultiTensor)]

every_rule = pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
our_rules = pytest.mark.parametrize("rule", OURS, ids=lambda rule: rule.name)
two_forms = pytest.mark.parametrize("rule", FORMS, ids=lambda rule: rule.name)


def tensors(seed: int = 0) -> list[Tensor]:
    """Vectors, matrices, one number, nothing, a kernel, and a matrix stored by columns."""
    g = torch.Generator().manual_seed(seed)
    shapes = ((3, 4), (7,), (), (0, 5), (2, 3, 3, 2))
    made = [torch.randn(shape, generator=g) for shape in shapes]
    return [*made, torch.randn((5, 4), generator=g).T]


def params_of(optimizer: Optimizer) -> list[Tensor]:
    return [p for group in optimizer.param_groups for p in group["params"]]


def step(rule: Rule, optimizer: Optimizer, gradient: Callable[[], Any]) -> None:
    """One update; `gradient` fills .grad of every parameter."""
    if rule.needs_closure:
        optimizer.step(lambda: gradient() or 0.0)
    else:
        gradient()
        optimizer.step()


def train(rule: Rule, optimizer: Optimizer, first: int, last: int) -> None:
    """Steps with made-up gradients, which depend on the step alone, and changing rates."""
    params = params_of(optimizer)
    peak = optimizer.defaults.get("lr", 1.0)
    for number in range(first, last):

        def gradient() -> None:
            for p, g in zip(params, tensors(seed=number + 1)):
                p.grad = g.to(p.dtype)

        optimizer.param_groups[0]["lr"] = peak / (1 + 0.1 * ((number + 2) % 4))  # up and down
        step(rule, optimizer, gradient)


@every_rule
def test_descends_on_a_quadratic(rule: Rule) -> None:
    """0.5 sum c (p - 1)^2 with curvatures c from 0.5 to 2."""
    start = [torch.zeros(4, 6), torch.zeros(6), torch.zeros(2, 3, 2, 2)]
    curvature = [torch.linspace(0.5, 2.0, p.numel()).view_as(p) for p in start]
    optimizer = rule.build(start)
    params = params_of(optimizer)

    def loss() -> float:
        parts = [0.5 * (c * (p.detach() - 1) ** 2).sum() for p, c in zip(params, curvature)]
        return float(sum(parts))

    def gradient() -> None:
        for p, c in zip(params, curvature):
            p.grad = c * (p.detach() - 1)

    first = loss()
    for _ in range(rule.steps):
        step(rule, optimizer, gradient)
    assert loss() < rule.descent * first


@every_rule
def test_resumes_to_the_last_bit(rule: Rule) -> None:
    """Through a file, as a checkpoint does, that holds tensors and plain values only."""
    whole = rule.build(tensors())
    train(rule, whole, 0, 9)
    first = rule.build(tensors())
    train(rule, first, 0, 4)
    file = io.BytesIO()
    torch.save(first.state_dict(), file)
    file.seek(0)
    second = rule.build(params_of(first))
    second.load_state_dict(torch.load(file, weights_only=True))
    train(rule, second, 4, 9)
    assert_same([p.detach() for p in params_of(whole)], [p.detach() for p in params_of(second)])
    assert_same(whole.state_dict(), second.state_dict())


@every_rule
def test_state_is_not_shared_with_the_one_that_it_was_copied_from(rule: Rule) -> None:
    first = rule.build(tensors())
    train(rule, first, 0, 3)
    saved = copy.deepcopy(first.state_dict())
    second = rule.build(params_of(first))
    second.load_state_dict(copy.deepcopy(saved))
    train(rule, second, 3, 5)
    assert_same(first.state_dict(), saved)


@every_rule
def test_zero_gradients_do_no_harm(rule: Rule) -> None:
    """From the first step on, and after others."""
    optimizer = rule.build(tensors())

    def nothing() -> None:
        for p in params_of(optimizer):
            p.grad = torch.zeros_like(p)

    for _ in range(3):
        step(rule, optimizer, nothing)
    train(rule, optimizer, 3, 5)
    for _ in range(3):
        step(rule, optimizer, nothing)
    assert all(p.isfinite().all() for p in params_of(optimizer))


@our_rules
def test_zero_gradients_and_no_decay_change_nothing(rule: Rule) -> None:
    none = {"weight_decay": 0.0} if "weight_decay" in rule.arguments else {}
    optimizer = rule.build(tensors(), **none)

    def nothing() -> None:
        for p in params_of(optimizer):
            p.grad = torch.zeros_like(p)

    step(rule, optimizer, nothing)
    for p, start in zip(params_of(optimizer), tensors()):
        torch.testing.assert_close(p.detach(), start, rtol=rule.rounding, atol=1e-7)


@every_rule
def test_each_kind_of_tensor_moves_and_stays_finite(rule: Rule) -> None:
    optimizer = rule.build(tensors())
    train(rule, optimizer, 0, 5)
    for p, start in zip(params_of(optimizer), tensors()):
        assert p.isfinite().all() and p.shape == start.shape and p.dtype == start.dtype
        assert p.numel() == 0 or not torch.equal(p.detach(), start)


@every_rule
@pytest.mark.parametrize("number", (0, 2, 3))
def test_one_parameter_alone(rule: Rule, number: int) -> None:
    """A matrix, one number, an empty tensor."""
    alone = rule.build([tensors()[number]])
    (p,) = params_of(alone)
    for seed in range(1, 4):

        def gradient() -> None:
            p.grad = tensors(seed)[number]

        step(rule, alone, gradient)
    assert p.isfinite().all()


@our_rules
def test_layout_in_memory_does_not_matter(rule: Rule) -> None:
    columns = rule.build(tensors())
    rows = rule.build([t.contiguous() for t in tensors()])
    assert not params_of(columns)[-1].is_contiguous() and params_of(rows)[-1].is_contiguous()
    for optimizer in (columns, rows):
        train(rule, optimizer, 0, 4)
    for a, b in zip(params_of(columns), params_of(rows)):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)


@our_rules
def test_gradient_in_bfloat16_of_a_float32_parameter(rule: Rule) -> None:
    """As if it had been widened before."""
    mixed, full = (rule.build([torch.linspace(-1, 1, 6).view(2, 3)]) for _ in range(2))
    (p,), (q,) = params_of(mixed), params_of(full)
    p.grad_dtype = None  # torch: take a gradient of any type
    for number in range(3):
        g = torch.sin(torch.arange(6.0) + number).view(2, 3).bfloat16()

        def narrow() -> None:
            p.grad = g

        def wide() -> None:
            q.grad = g.float()

        step(rule, mixed, narrow)
        step(rule, full, wide)
    assert p.dtype == torch.float32 and torch.equal(p, q)


@our_rules
def test_every_argument_is_read(rule: Rule) -> None:
    """Another value leads to other parameters."""
    assert set(rule.changes) == rule.arguments
    for argument, value in rule.changes.items():
        base = rule.base.get(argument, {})
        usual = rule.build(tensors(), **base)
        other = rule.build(tensors(), **{**base, argument: value})
        for optimizer in (usual, other):
            train(rule, optimizer, 0, 6)
        same = [torch.equal(a, b) for a, b in zip(params_of(usual), params_of(other))]
        assert not all(same), argument


@our_rules
def test_groups_have_their_own_settings(rule: Rule) -> None:
    """A learning rate of 0 in one group: it stays, the other moves."""
    if rule.needs_closure or "lr" not in rule.arguments:
        pytest.skip("its learning rate is not set from outside")
    resting, moving = (torch.ones(3, 4, requires_grad=True) for _ in range(2))
    groups = [{"params": [resting], "lr": 0.0}, {"params": [moving]}]
    optimizer = rule.kind(groups, **rule.settings)  # type: ignore[call-arg]
    for p in (resting, moving):
        p.grad = torch.linspace(-1, 1, 12).view(3, 4)
    for _ in range(2):  # the first may only prepare
        optimizer.step()
    assert torch.equal(resting.detach(), torch.ones(3, 4))
    assert not torch.equal(moving.detach(), torch.ones(3, 4))


@every_rule
def test_no_gradient_no_change(rule: Rule) -> None:
    if not rule.skips:
        pytest.skip("it also moves parameters without a gradient")
    optimizer = rule.build([torch.ones(3), torch.ones(3)])
    given, skipped = params_of(optimizer)

    def gradient() -> None:
        given.grad = torch.linspace(-1, 1, 3)

    step(rule, optimizer, gradient)
    assert torch.equal(skipped.detach(), torch.ones(3)) and not optimizer.state.get(skipped)
    assert not torch.equal(given.detach(), torch.ones(3))


@every_rule
def test_a_negative_learning_rate_is_refused(rule: Rule) -> None:
    with pytest.raises(ValueError, match="lr = -1.0|learning rate"):
        rule.build(tensors(), lr=-1.0)


@our_rules
def test_a_sparse_gradient_is_refused_before_anything_changes(rule: Rule) -> None:
    optimizer = rule.build([torch.ones(2), torch.ones(4, 2)])
    dense, table = params_of(optimizer)

    def gradient() -> None:
        dense.grad = torch.ones(2)
        table.grad = torch.sparse_coo_tensor([[1]], [[1.0, 1.0]], (4, 2), check_invariants=True)

    with pytest.raises(ValueError, match="sparse"):
        step(rule, optimizer, gradient)
    if not rule.needs_closure:
        assert torch.equal(dense.detach(), torch.ones(2)) and not optimizer.state


@two_forms
@pytest.mark.parametrize("dtype", (torch.float64, torch.float32, torch.bfloat16))
def test_both_forms_are_equal(rule: Rule, dtype: torch.dtype) -> None:
    """To rounding: to the last bit but for norms and the order of sums."""
    limit = {torch.float64: 1e-11, torch.float32: 1e-5, torch.bfloat16: 3e-2}[dtype]
    start = [t.to(dtype) for t in tensors()]
    both = [rule.build(start, foreach=foreach) for foreach in (True, False)]
    for optimizer in both:
        train(rule, optimizer, 0, 8)
    for fast, plain in zip(*(params_of(o) for o in both)):
        assert fast.isfinite().all()
        torch.testing.assert_close(fast, plain, rtol=limit, atol=limit)
        for name, value in both[0].state[fast].items():
            torch.testing.assert_close(value, both[1].state[plain][name], rtol=limit, atol=limit)


@two_forms
@pytest.mark.parametrize("foreach", (True, False))
def test_no_value_on_the_device_is_read(rule: Rule, foreach: bool) -> None:
    """On the meta device there are no values: reading one (a wait, on a GPU) would raise."""
    optimizer = rule.build([torch.ones(3, 2, device="meta")], foreach=foreach)
    (p,) = params_of(optimizer)

    def gradient() -> None:
        p.grad = torch.ones(3, 2, device="meta")

    for _ in range(3):
        step(rule, optimizer, gradient)


@two_forms
def test_parts_of_large_tensors_change_nothing(
    rule: Rule, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rules by element update large tensors part by part; the others must not."""

    def trained(cached: int) -> list[Tensor]:
        monkeypatch.setattr("optimizers.multi_tensor._CACHED", cached)
        optimizer = rule.build(tensors())
        train(rule, optimizer, 0, 4)
        return params_of(optimizer)

    for whole, parts in zip(trained(10**9), trained(5)):
        torch.testing.assert_close(whole, parts, rtol=1e-6, atol=1e-7)


@two_forms
def test_by_element_is_declared_as_it_is(rule: Rule) -> None:
    """Half of a vector alone goes the same way, if and only if the rule is by element."""
    whole, half = rule.build([torch.arange(8.0)]), rule.build([torch.arange(4.0)])
    for number in range(3):
        g = torch.sin(torch.arange(8.0) * (number + 1)) * torch.arange(1.0, 9.0)

        def gradient() -> None:
            params_of(whole)[0].grad, params_of(half)[0].grad = g, g[:4]

        step(rule, whole, gradient)
        step(rule, half, gradient)
    same = torch.allclose(params_of(whole)[0][:4], params_of(half)[0], rtol=1e-6, atol=1e-7)
    assert same == rule.by_element
    assert rule.by_element or not rule.kind.by_element  # type: ignore[attr-defined]
