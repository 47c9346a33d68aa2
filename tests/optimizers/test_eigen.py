"""A preconditioner whose eigenvalues float32 cannot give must not end a trial."""

import pytest
import torch
from torch import Tensor

from optimizers.eigen import eigen, eigenvalues
from optimizers.soap import Soap

SOLVERS = ("eigh", "eigvalsh")


@pytest.fixture(params=[(torch.float32,), (torch.float32, torch.float64)], ids=["one", "both"])
def failing(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> tuple[torch.dtype]:
    """The solvers for these dtypes fail, as they do on some matrices."""

    def put(name: str) -> None:
        solve = getattr(torch.linalg, name)

        def fails(matrix: Tensor) -> object:
            if matrix.dtype in request.param:
                raise torch.linalg.LinAlgError("failed to converge")
            return solve(matrix)

        monkeypatch.setattr(torch.linalg, name, fails)

    for name in SOLVERS:
        put(name)
    dtypes: tuple[torch.dtype] = request.param
    return dtypes


def test_float64_is_asked_next(failing: tuple[torch.dtype]) -> None:
    matrix = torch.tensor([[2.0, 1.0], [1.0, 2.0]])
    found, values = eigen(matrix), eigenvalues(matrix)
    if torch.float64 in failing:
        assert found is None and values is None
        return
    assert found is not None and values is not None
    torch.testing.assert_close(values.float(), torch.tensor([1.0, 3.0]))
    torch.testing.assert_close(found[0], values)
    rebuilt = found[1] @ found[0].diag() @ found[1].T
    torch.testing.assert_close(rebuilt.float(), matrix)


def test_soap_goes_on(failing: tuple[torch.dtype]) -> None:
    """Without a first basis it is Adam until power iteration has turned one."""
    generator = torch.Generator().manual_seed(0)
    p = torch.nn.Parameter(torch.randn(6, 4, generator=generator))
    start, rule = p.detach().clone(), Soap([p], lr=1e-2)
    for _ in range(40):
        p.grad = p.detach().clone()
        rule.step()
    assert p.norm() < 0.9 * start.norm()
