"""What are the eigenvalues of a matrix that is nearly empty?

Such is the preconditioner of a table of which a batch touches few rows.  The solver for float32
fails on some; that for float64 does not.
"""

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor

Found = TypeVar("Found")


def eigen(matrix: Tensor) -> tuple[Tensor, Tensor] | None:
    """(values [n], rising; vectors [n, n], a column each) of a symmetric matrix [n, n], in its
    dtype or in float64; None if they cannot be had.
    """
    return _solved(torch.linalg.eigh, matrix)


def eigenvalues(matrix: Tensor) -> Tensor | None:
    """[n], rising; otherwise as `eigen`."""
    return _solved(torch.linalg.eigvalsh, matrix)


def _solved(solve: Callable[[Tensor], Found], matrix: Tensor) -> Found | None:
    for dtype in (matrix.dtype, torch.float64):
        try:
            return solve(matrix.to(dtype))
        except RuntimeError:  # LinAlgError is one; cuSOLVER raises others
            continue
    return None
