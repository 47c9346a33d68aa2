"""How is a parameter seen as a matrix, or as blocks?  By its role and its shape alone.

| role | stored as | as a matrix |
|---|---|---|
| weight | [out, in]; a recurrent layer's four gates: [4 out, in] | as it is: fused gates are one |
| conv_weight | [out, in, k...]; transposed: [in, out, k...] | [first, rest]: [out, in k...] |
| attention_q, _k, _v, _out | [out, in] | as it is |
| attention_qkv, attention_kv | [3 d, d], [2 d, d] | one matrix, as in the published runs of Muon |
| embedding | [rows, width] | as it is; Muon's published split gives it to Adam |
| biases, scales of norms | [width] | none |

A biases' or a scale's tensor of several dimensions (layer norm over channels and pixels) has none
either: `matrix_shape` is for people and for `explain`.  A rule sees what it was given: `as_matrix`
takes any tensor, a vector as one row.
"""

from collections.abc import Iterator, Sequence
from itertools import product

from torch import Tensor

from algoperf_pt.roles import ParamType

MATRICES = frozenset(
    {
        ParamType.WEIGHT,
        ParamType.CONV_WEIGHT,
        ParamType.EMBEDDING,
        ParamType.ATTENTION_Q,
        ParamType.ATTENTION_K,
        ParamType.ATTENTION_V,
        ParamType.ATTENTION_OUT,
        ParamType.ATTENTION_QKV,
        ParamType.ATTENTION_KV,
    }
)


def matrix_shape(shape: Sequence[int], role: ParamType) -> tuple[int, int] | None:
    """(rows, columns) of a parameter with that role; None if it is no matrix."""
    if role not in MATRICES or len(shape) < 2:
        return None
    return rows_and_columns(shape)


def rows_and_columns(shape: Sequence[int]) -> tuple[int, int]:
    """(first dimension, product of the others); a vector is one row, a number is [1, 1]."""
    rows = shape[0] if len(shape) > 1 else 1
    columns = 1
    for size in shape[1:] if len(shape) > 1 else shape:
        columns *= size
    return rows, columns


def as_matrix(tensor: Tensor) -> Tensor:
    """The tensor as [first, rest]: a view where its strides allow it, else a copy."""
    return tensor.reshape(rows_and_columns(tensor.shape))


def merged(shape: Sequence[int], limit: int) -> tuple[int, ...]:
    """The shape without dimensions of size 1, and with neighbours made one while their product is
    at most `limit`; (1,) if nothing is left.
    """
    sizes: list[int] = []
    for size in (s for s in shape if s != 1):
        if sizes and sizes[-1] * size <= limit:
            sizes[-1] *= size
        else:
            sizes.append(size)
    return tuple(sizes) or (1,)


def blocks(shape: Sequence[int], limit: int) -> Iterator[tuple[slice, ...]]:
    """Where to cut so that no side is longer than `limit`; the last piece of a side is the rest."""
    cuts = [[slice(at, at + limit) for at in range(0, size, limit)] for size in shape]
    yield from product(*cuts)
