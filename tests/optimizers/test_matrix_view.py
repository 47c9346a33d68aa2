"""Are parameters seen as the matrices and blocks that optimizers/matrix_view.py promises?"""

import pytest
import torch

from algoperf_pt.roles import ParamType
from optimizers.matrix_view import as_matrix, blocks, matrix_shape, merged
from optimizers.muon import Muon
from optimizers.shampoo import Shampoo
from optimizers.sharing import owners
from optimizers.soap import Soap


@pytest.mark.parametrize(
    ("shape", "role", "expected"),
    (
        ((64, 3, 7, 7), ParamType.CONV_WEIGHT, (64, 147)),
        ((3072, 1024), ParamType.ATTENTION_QKV, (3072, 1024)),  # one matrix
        ((50, 8), ParamType.EMBEDDING, (50, 8)),
        ((1, 1, 384), ParamType.WEIGHT, (1, 384)),
        ((384,), ParamType.WEIGHT, None),
        ((), ParamType.WEIGHT, None),
        ((8, 4, 4), ParamType.LAYER_NORM_SCALE, None),
        ((8, 4), ParamType.BIAS, None),
    ),
)
def test_a_matrix_by_role_and_shape(shape, role, expected):
    assert matrix_shape(shape, role) == expected


def test_every_role_is_in_the_table():
    import optimizers.matrix_view as module

    for role in ParamType:
        if "bias" not in role.value and "scale" not in role.value:
            head, *others = role.value.rsplit("_", 1)
            assert role.value in module.__doc__ or f"_{others[0]}" in module.__doc__
            assert matrix_shape((2, 3), role) == (2, 3)
        else:
            assert matrix_shape((2, 3), role) is None


def test_rules_say_how_they_see_a_parameter():
    kernel, empty = torch.ones(8, 4, 3, 3, requires_grad=True), torch.ones(0, 3, requires_grad=True)
    assert Muon([kernel]).describe(kernel) == "8 x 36"
    assert Soap([kernel]).describe(kernel) == "8 x 36"
    shampoo = Shampoo([kernel, empty], max_preconditioner_dim=32)
    assert shampoo.describe(kernel) == "32 x 9" and shampoo.describe(empty) == "-"
    assert Shampoo([kernel], max_preconditioner_dim=8).describe(kernel) == "8 x 4 x 3 x 3"
    cut = Shampoo([kernel], max_preconditioner_dim=6)
    assert cut.describe(kernel) == "8 x 4 x 3 x 3 in 2 blocks"


def test_any_tensor_can_be_a_matrix():
    shapes = [as_matrix(torch.ones(shape)).shape for shape in ((), (3,), (2, 5), (2, 3, 4))]
    assert shapes == [(1, 1), (1, 3), (2, 5), (2, 12)]


@pytest.mark.parametrize(
    ("shape", "limit", "expected"),
    (
        ((512, 1, 2048), 4096, (512, 2048)),
        ((64, 3, 7, 7), 1024, (192, 49)),
        ((4, 2, 3, 3), 1024, (72,)),
        ((4, 2, 3, 3), 8, (8, 3, 3)),
        ((1, 1), 10, (1,)),
        ((), 10, (1,)),
        ((7,), 2, (7,)),
    ),
)
def test_neighbours_are_merged_up_to_the_limit(shape, limit, expected):
    assert merged(shape, limit) == expected


@pytest.mark.parametrize("shape", ((5,), (4, 4), (7, 3, 5)))
def test_blocks_cover_everything_once(shape):
    counts = torch.zeros(shape)
    for cut in blocks(shape, 3):
        counts[cut] += 1
        assert max(counts[cut].shape) <= 3
    assert (counts == 1).all()


def test_the_dearest_first_each_to_the_rank_with_the_least():
    assert owners([1, 5, 3, 3], 2) == [0, 0, 1, 1]
    assert owners([2.0, 2.0, 2.0], 1) == [0, 0, 0]
    costs = [float(c) for c in range(50)]
    loads = [sum(c for c, o in zip(costs, owners(costs, 4)) if o == rank) for rank in range(4)]
    assert max(loads) < 1.05 * sum(costs) / 4
