"""Does SOAP compute its paper's algorithm?  A second statement in numpy, in double precision; no
published numbers exist.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from optimizers.soap import Soap
from tests.optimizers.golden_submission import Run

Array = NDArray[np.float64]
LR, B1, B2, B3, EPS, DECAY, PERIOD = 0.05, 0.9, 0.97, 0.8, 1e-8, 0.1, 3
SETTINGS: dict[str, Any] = {
    **{"lr": LR, "betas": (B1, B2, B3), "eps": EPS, "weight_decay": DECAY},
    "precondition_frequency": PERIOD,
}


def gradients(shape: tuple[int, ...], steps: int) -> list[Array]:
    generator = np.random.default_rng(3)
    return [generator.standard_normal(shape) for _ in range(steps)]


def ours(start: Array, grads: list[Array], **changes: Any) -> Array:
    p = torch.tensor(start, requires_grad=True)
    optimizer = Soap([p], **{**SETTINGS, **changes})
    for g in grads:
        p.grad = torch.tensor(g)
        optimizer.step()
    return p.detach().numpy()


def adam(m: Array, v: Array, t: int) -> Array:
    out: Array = (m / (1 - B1**t)) / (np.sqrt(v / (1 - B2**t)) + EPS)
    return out


def largest_first(matrix: Array) -> Array:
    values, vectors = np.linalg.eigh(matrix)
    return vectors[:, np.argsort(-values)]


def two_sided(w: Array, grads: list[Array], right: bool = True) -> Array:
    """Algorithm 3 for a matrix; `right`: whether the columns' side has a basis, too."""
    w = w.copy()
    left_sum, right_sum = (1 - B3) * grads[0] @ grads[0].T, (1 - B3) * grads[0].T @ grads[0]
    q, r = largest_first(left_sum), largest_first(right_sum) if right else np.eye(w.shape[1])
    m, v = np.zeros_like(w), np.zeros_like(w)
    for t, g in enumerate(grads[1:], start=1):
        turned = q.T @ g @ r
        m, v = B1 * m + (1 - B1) * g, B2 * v + (1 - B2) * turned**2
        w = w - LR * (q @ adam(q.T @ m @ r, v, t) @ r.T + DECAY * w)
        left_sum = B3 * left_sum + (1 - B3) * g @ g.T
        right_sum = B3 * right_sum + (1 - B3) * g.T @ g
        if t % PERIOD == 0:
            order = np.argsort(-np.diag(q.T @ left_sum @ q))
            q, v = np.linalg.qr(left_sum @ q[:, order])[0], v[order]
            if right:
                order = np.argsort(-np.diag(r.T @ right_sum @ r))
                r, v = np.linalg.qr(right_sum @ r[:, order])[0], v[:, order]
    return w


def one_sided(w: Array, grads: list[Array]) -> Array:
    return two_sided(w, grads, right=False)


@pytest.mark.parametrize(
    ("shape", "stated", "changes"),
    (
        ((5, 5), two_sided, {}),
        ((4, 9), one_sided, {"max_preconditioner_dim": 4}),
        ((3, 2, 2, 2), one_sided, {"max_preconditioner_dim": 3}),  # a kernel: [out, rest]
        ((2, 2, 1, 4), two_sided, {"merge_dims": 4}),  # [4, 4]
    ),
)
def test_against_a_second_statement(
    shape: tuple[int, ...], stated: Callable[[Array, list[Array]], Array], changes: dict[str, Any]
) -> None:
    grads = gradients(shape, 12)
    start = gradients(shape, 13)[-1]
    side = 4 if "merge_dims" in changes else shape[0]
    expected = stated(start.reshape(side, -1), [g.reshape(side, -1) for g in grads])
    np.testing.assert_allclose(ours(start, grads, **changes), expected.reshape(shape), rtol=1e-8)


@pytest.mark.parametrize("shape", ((6,), (), (1, 6), (3, 4)))
def test_a_tensor_without_a_basis_gets_adam(shape: tuple[int, ...]) -> None:
    """Vectors, numbers, rows, and matrices whose sides are all too long."""
    grads, w = gradients(shape, 6), np.asarray(0.5 * np.ones(shape))
    found = ours(w, grads, max_preconditioner_dim=2)
    m, v = np.zeros(shape), np.zeros(shape)
    for t, g in enumerate(grads, start=1):
        m, v = B1 * m + (1 - B1) * g, B2 * v + (1 - B2) * g**2
        w = w - LR * (adam(m, v, t) + DECAY * w)
    np.testing.assert_allclose(found, w, rtol=1e-10)


def test_bases_stay_orthogonal_and_follow_the_eigenvectors() -> None:
    """With gradients of one distribution the rotated factor becomes diagonal."""
    p = torch.zeros(6, 5, requires_grad=True)
    optimizer = Soap([p], betas=(0.9, 0.99, 0.99), precondition_frequency=1)
    generator = torch.Generator().manual_seed(0)
    scales = torch.tensor([8.0, 4.0, 2.0, 1.0, 0.5, 0.25])[:, None]
    turn = torch.linalg.qr(torch.randn(6, 6, generator=generator)).Q
    for _ in range(60):
        p.grad = turn @ (scales * torch.randn(6, 5, generator=generator))
        optimizer.step()
    state = optimizer.state[p]
    basis, factor = state["0.basis_0"], state["0.factor_0"]
    torch.testing.assert_close(basis.T @ basis, torch.eye(6), atol=1e-5, rtol=0)
    rotated = basis.T @ factor @ basis
    rest = rotated - rotated.diagonal().diag()
    assert rest.norm() < 0.05 * rotated.norm()
    assert (rotated.diagonal().diff() < 0).all()


def test_state_of_a_matrix() -> None:
    """Two momenta, and two squares for each side that is short enough."""
    p = torch.ones(4, 7, requires_grad=True)
    optimizer = Soap([p], max_preconditioner_dim=5)
    p.grad = torch.ones(4, 7)
    optimizer.step()
    sizes = {name: value.numel() for name, value in optimizer.state[p].items()}
    squares = {"0.factor_0": 16, "0.basis_0": 16}
    assert sizes == {"step": 1, "0.exp_avg": 28, "0.exp_avg_sq": 28, **squares}


def test_the_submission_reads_all_that_it_tunes() -> None:
    trial = Run("soap")
    first = trial.step()["loss"].item()
    for _ in range(19):
        last = trial.step()["loss"].item()
    assert not trial.hparams.unread() and last < first


def test_bad_settings_are_named() -> None:
    p = torch.ones(2, 2, requires_grad=True)
    with pytest.raises(ValueError, match="betas = .0.9, 0.9., expected three numbers"):
        Soap([p], betas=(0.9, 0.9))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="merge_dims = 0, expected at least 1"):
        Soap([p], merge_dims=0)
