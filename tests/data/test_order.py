"""The order of training rows: a pure function of (seed, step), the same for any number of ranks."""

import numpy as np
import pytest

from algoperf_pt.data.order import Order, eval_plan, feistel
from algoperf_pt.errors import ConfigError


def test_each_epoch_is_a_permutation_without_its_incomplete_batch():
    order = Order(103, 10, seed=1, rank=0, world=1)
    epochs = [np.concatenate([order.indices(e * 10 + k) for k in range(10)]) for e in range(3)]
    for epoch in epochs:
        assert len(set(epoch.tolist())) == 100 and epoch.min() >= 0 and epoch.max() < 103
    assert not np.array_equal(epochs[0], epochs[1])


def test_any_step_in_any_order():
    order = Order(50, 8, seed=9, rank=0, world=1)
    forward = [order.indices(step) for step in range(20)]
    fresh = Order(50, 8, seed=9, rank=0, world=1)
    for step in (19, 3, 7, 0, 12):
        assert np.array_equal(fresh.indices(step), forward[step])


@pytest.mark.parametrize("world", [1, 2, 4, 8])
def test_ranks_share_the_global_batch(world):
    whole = Order(1000, 16, seed=2, rank=0, world=1).indices(70)
    parts = [Order(1000, 16, seed=2, rank=r, world=world).indices(70) for r in range(world)]
    assert np.array_equal(np.stack(parts, 1).ravel(), whole)


@pytest.mark.parametrize("n", [2, 3, 1000, 4097])
def test_feistel_is_a_bijection(n):
    for seed in (0, 1, 2**62):
        found = feistel(np.arange(n), n, seed)
        assert np.array_equal(np.sort(found), np.arange(n))


def test_billions_of_rows_need_no_memory(monkeypatch):
    order = Order(4_195_197_692, 262_144, seed=5, rank=3, world=8)
    rows = order.indices(123)
    assert rows.shape == (32_768,) and len(np.unique(rows)) == 32_768
    assert rows.min() >= 0 and rows.max() < order.n
    assert np.array_equal(rows, Order(4_195_197_692, 262_144, 5, 3, 8).indices(123))


@pytest.mark.parametrize("n, size, world", [(7, 8, 1), (10, 0, 1), (10, 3, 2)])
def test_impossible_batches(n, size, world):
    with pytest.raises(ConfigError, match="batch of"):
        Order(n, size, 0, 0, world)


@pytest.mark.parametrize("n, size, world", [(10, 4, 1), (10, 4, 2), (8, 4, 4), (1, 6, 3)])
def test_each_row_is_evaluated_once(n, size, world):
    seen = []
    for number in range(-(-n // size)):
        for rank in range(world):
            rows, weights = eval_plan(n, size, rank, world, number)
            assert len(rows) == len(weights) == size // world and weights.dtype == np.float32
            seen += rows[weights > 0].tolist()
    assert sorted(seen) == list(range(n))
