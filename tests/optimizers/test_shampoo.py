"""Does Distributed Shampoo compute what was published, and what does it keep when a decomposition
fails?"""

import math
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from algoperf_pt.roles import ParamType
from algoperf_pt.updates import make_updates
from optimizers.archived_shampoo import ArchivedShampoo
from optimizers.newton_shampoo import NewtonShampoo, newton_root
from optimizers.shampoo import Shampoo, inverse_root
from optimizers.shampoo_schedule import WarmupCosineOrConstant
from tests.optimizers import problem
from tests.optimizers.golden_submission import Run, composed, run_case

LIMIT = 1e-4  # relative to the largest value of a tensor, after 20 steps; the factors have poor
# condition, so that rounding shows
FIXED = ("use_bias_correction", "use_decoupled_weight_decay", "use_merge_dims", "grafting_beta2")
CASES = (
    "raw_shampoo_adam_graft",
    "raw_shampoo_blocked",
    "raw_shampoo_sgd_graft_momentum",
    "raw_shampoo_root2_momentum",
)
POINTS = ("shampoo_point0", "shampoo_point1_step_hint_factor", "shampoo_point2")


def step(optimizer: Any, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    for group in optimizer.param_groups:
        for p in group["params"]:
            p.grad = torch.randn(p.shape, generator=generator)
    optimizer.step()


@pytest.mark.parametrize("case", CASES)
def test_golden_rule(case: str) -> None:
    kwargs = dict(problem.meta()[case]["kwargs"])
    kwargs["grafting_type"] = kwargs.pop("graft")
    settings = {key: value for key, value in kwargs.items() if key not in FIXED}
    error = problem.largest_error(case, problem.train(partial(Shampoo, **settings)))
    print(f"{case}: largest relative error {error:.1e}")
    assert error < LIMIT


@pytest.mark.parametrize("case", POINTS)
def test_golden_submission(case: str) -> None:
    error = problem.largest_error(case, run_case(case, "shampoo"))
    print(f"{case}: largest relative error {error:.1e}")
    assert error < LIMIT


def test_golden_archived_rule() -> None:
    kwargs = problem.meta()["raw_archived_shampoo_jax"]["kwargs"]
    settings = {"lr": kwargs["lr"], "betas": (kwargs["beta1"], kwargs["beta2"])}
    rule = partial(ArchivedShampoo, **settings, weight_decay=kwargs["weight_decay"])
    error = problem.largest_error("raw_archived_shampoo_jax", problem.train(rule))
    print(f"raw_archived_shampoo_jax: largest relative error {error:.1e}")
    assert error < 1e-5


@pytest.mark.parametrize("number", range(5))
def test_every_hyperparameter_of_a_point_reaches_something(number: int) -> None:
    point = composed("shampoo")["submission"]["points"][number]
    trial = Run("shampoo", point)
    assert not trial.hparams.unread()
    settings = trial.submission.optimizer.defaults  # type: ignore[attr-defined]
    for key, value in point.items():
        if key in settings:
            assert settings[key] == value, key
    assert settings["betas"] == [1 - point["one_minus_beta1"], 1 - point["one_minus_beta2"]]
    for _ in range(2):
        trial.step()
    assert all(p.isfinite().all() for p in trial.view.parameters())


def test_a_power_of_a_matrix_by_its_eigenvalues() -> None:
    root = torch.randn(5, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    matrix = root @ root.T
    half = inverse_root(matrix, 0.5, 0.01)
    assert half is not None
    eye = torch.eye(5, dtype=torch.float64)
    torch.testing.assert_close(half @ half @ (matrix + 0.01 * eye), eye)
    lifted = inverse_root(matrix - 2 * eye, 1.0, 0.01)  # the least eigenvalue becomes 0.01
    assert lifted is not None
    assert torch.linalg.eigvalsh(lifted).max().item() == pytest.approx(100)
    one = inverse_root(torch.tensor([[4.0]]), 0.5, 0.0)
    assert one is not None and one.item() == pytest.approx(0.5)


def failing(monkeypatch: pytest.MonkeyPatch, *dtypes: torch.dtype) -> None:
    eigh = torch.linalg.eigh

    def fail(matrix: Tensor) -> Any:
        if matrix.dtype in dtypes:
            raise torch._C._LinAlgError("did not converge")
        return eigh(matrix)

    monkeypatch.setattr(torch.linalg, "eigh", fail)


def test_a_failed_decomposition_is_tried_in_double_precision(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    matrix = torch.tensor([[2.0, 1.0], [1.0, 3.0]])
    expected = inverse_root(matrix, 0.25, 1e-3)
    failing(monkeypatch, torch.float32)
    torch.testing.assert_close(inverse_root(matrix, 0.25, 1e-3), expected)


def test_without_a_decomposition_the_old_preconditioner_stays(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    p = torch.ones(3, 4, requires_grad=True)
    optimizer = Shampoo([p], precondition_frequency=2, epsilon=1e-3, max_preconditioner_dim=8)
    for seed in range(2):
        step(optimizer, seed)
    kept = optimizer.state[p]["0.root_0"].clone()
    assert kept.any()
    failing(monkeypatch, torch.float32, torch.float64)
    for seed in range(2, 4):
        step(optimizer, seed)
    assert torch.equal(optimizer.state[p]["0.root_0"], kept) and p.isfinite().all()


def test_values_that_are_not_finite_never_become_a_preconditioner() -> None:
    assert inverse_root(torch.tensor([[float("nan"), 0.0], [0.0, 1.0]]), 0.5, 1e-3) is None
    assert inverse_root(torch.zeros(2, 2), 0.5, 0.0) is None  # 0 to the power -0.5


def test_when_preconditioners_are_made(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []

    def counted(*arguments: Any) -> None:
        made.append(arguments[1])

    monkeypatch.setattr("optimizers.shampoo._decompose", counted)
    for start in (-1, 4):
        p = torch.ones(2, 2, requires_grad=True)
        optimizer = Shampoo([p], precondition_frequency=3, start_preconditioning_step=start)
        for seed in range(10):
            step(optimizer, seed)
    assert made == [3, 6, 9, 4, 6, 9]


def test_state_of_a_matrix() -> None:
    """Two momenta, and two squares for each side: factor and preconditioner."""
    p, table = torch.ones(6, 4, requires_grad=True), torch.ones(6, 4, requires_grad=True)
    optimizer = Shampoo([p], max_preconditioner_dim=6)
    step(optimizer, 0)
    sizes = {name: value.numel() for name, value in optimizer.state[p].items()}
    squares = {"0.factor_0": 36, "0.root_0": 36, "0.factor_1": 16, "0.root_1": 16}
    assert sizes == {"step": 1, "0.exp_avg": 24, "0.exp_avg_sq": 24, **squares}
    never = Shampoo([table], max_preconditioner_dim=6, start_preconditioning_step=math.inf)
    step(never, 0)
    assert list(never.state[table]) == ["step", "0.exp_avg", "0.exp_avg_sq"]


class Tables(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.large = nn.Parameter(torch.ones(1_000_000, 1))
        self.small = nn.Parameter(torch.ones(3, 2))


def test_tables_of_a_million_rows_are_not_preconditioned() -> None:
    trial, model = Run("shampoo"), Tables()

    class View:
        spec = trial.view.spec
        named_parameters = staticmethod(model.named_parameters)
        param_types = dict.fromkeys(("large", "small"), ParamType.EMBEDDING)

    settings = trial.config["submission"]
    parts = (settings["optimizer"], settings["schedule"], (), settings["others"])
    main, other = make_updates(View(), *parts)  # type: ignore[arg-type]
    step(main.optimizer, 0)
    step(other.optimizer, 1)
    assert "0.factor_0" in main.optimizer.state[model.small]
    assert set(other.optimizer.state[model.large]) == {"step", "0.exp_avg", "0.exp_avg_sq"}


def test_schedule_with_and_without_decay() -> None:
    cosine = WarmupCosineOrConstant(100, 0.1, horizon_factor=0.55)
    constant = WarmupCosineOrConstant(100, 0.1, horizon_factor=0.55, use_cosine_decay=False)
    assert cosine.cosine.horizon == pytest.approx(55.0) and cosine.cosine.warmup == 5
    assert [cosine(s) for s in range(6)] == [constant(s) for s in range(6)]
    assert constant(30) == constant(90) == 1.0 and cosine(30) == pytest.approx(0.5)


def test_a_state_of_another_rank_is_refused() -> None:
    p = torch.ones(4, 4, requires_grad=True)
    optimizer = Shampoo([p], max_preconditioner_dim=2)
    step(optimizer, 0)
    for name in [name for name in optimizer.state[p] if name.startswith("1.")]:
        del optimizer.state[p][name]
    with pytest.raises(RuntimeError, match="no block 1 .* as many ranks as before"):
        step(optimizer, 1)


@pytest.mark.parametrize(
    ("changes", "message"),
    (
        ({"betas": (0.9, 1.1)}, r"betas\[1\] = 1.1, expected a number from 0 to 1"),
        ({"momentum": 1.0}, "momentum = 1.0, expected a number from 0 to below 1"),
        ({"grafting_type": "LION"}, "grafting_type = 'LION', expected 'ADAM' or 'SGD'"),
        ({"communication_dtype": "FP8"}, "communication_dtype = 'FP8', expected one of FP32"),
        ({"precondition_frequency": 0}, "precondition_frequency = 0, expected at least 1"),
        ({"epsilon": -1.0}, "epsilon = -1.0, expected"),
    ),
)
def test_bad_settings_are_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Shampoo([torch.ones(2, 2, requires_grad=True)], **changes)


def test_golden_of_what_the_archived_one_was_meant_to_be() -> None:
    """Roots of nearly singular factors in single precision: rounding shows more than elsewhere."""
    case = "raw_shampoo_jax_really_preconditioned"
    kwargs = problem.meta()[case]["kwargs"]
    rule = partial(
        NewtonShampoo,
        lr=kwargs["lr"],
        betas=(kwargs["beta1"], kwargs["beta2"]),
        weight_decay=kwargs["weight_decay"],
        start=kwargs["start_preconditioning_step"],
        every=kwargs["preconditioning_compute_steps"],
    )
    error = problem.largest_error(case, problem.train(rule))
    print(f"{case}: largest relative error {error:.1e}")
    assert error < 2e-3


def test_roots_by_newtons_iteration() -> None:
    root = torch.randn(6, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    matrix = root @ root.T
    for p in (2, 4):
        found, error = newton_root(matrix, p, 1e-3)
        expected = inverse_root(matrix, 1 / p, 1e-3)
        assert error < 1e-6 and expected is not None
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)
