"""Kendall's tau-b against cases counted by hand, and what chance gives."""

from itertools import permutations

import numpy as np
import pytest

from scoring.agreement.tau import by_chance, mutual, needed_tau, opposed, tau_b

INF, NAN = np.inf, np.nan


@pytest.mark.parametrize(
    "first, second, expected",
    [
        ([4, 3, 2, 1], [40, 30, 20, 10], 1.0),
        ([4, 3, 2, 1], [1, 2, 3, 4], -1.0),
        ([4, 3, 2, 1], [4, 3, 1, 2], 4 / 6),  # 5 pairs agree, 1 is opposed
        # a tie in the first: pairs told apart 5 and 6; agreeing 5
        ([3, 3, 2, 1], [4, 3, 2, 1], 5 / np.sqrt(5 * 6)),
        # ties in both, of different pairs: 4 agree, 5 told apart in each
        ([3, 3, 2, 1], [4, 3, 3, 1], 4 / 5),
        # the first tells 3 of 6 apart, the second 5; one agrees, one is opposed
        ([2, 1, 1, 1], [2, 2, 3, 1], (1 - 1) / np.sqrt(3 * 5)),
        ([-10, -20, -INF, -INF], [-1, -2, -3, -4], 5 / np.sqrt(5 * 6)),  # two misses are equal
        ([4, NAN, 2, 1], [4, 9, 2, 1], 1.0),  # the unknown one is left out
    ],
)
def test_cases_counted_by_hand(first, second, expected):
    a, b = np.array(first, float), np.array(second, float)
    assert tau_b(a, b) == pytest.approx(expected)
    assert tau_b(b, a) == pytest.approx(expected)


def test_an_order_that_tells_nobody_apart_has_no_tau():
    assert np.isnan(tau_b(np.ones(3), np.arange(3.0)))
    assert np.isnan(tau_b(np.full(3, -INF), np.arange(3.0)))


def test_scores_that_differ_by_the_order_of_a_sum_are_equal():
    assert np.isnan(tau_b(np.array([0.3, 0.1 + 0.2]), np.array([1.0, 2.0])))


def test_many_orders_at_once_are_each_alone():
    generator = np.random.default_rng(0)
    a, b = generator.integers(0, 4, (2, 20, 6)).astype(float)
    one_by_one = [float(tau_b(x, y)) for x, y in zip(a, b)]
    assert np.array_equal(tau_b(a, b), one_by_one, equal_nan=True)
    assert np.array_equal(tau_b(a, b[0][None])[3], tau_b(a[3], b[0]), equal_nan=True)


def test_opposed_pairs_leave_out_ties():
    assert opposed(np.array([3.0, 2, 1]), np.array([1.0, 2, 2])) == [(0, 1), (0, 2)]
    assert opposed(np.array([3.0, 3, 1]), np.array([1.0, 2, 0])) == []


def test_chance_counts_all_orders():
    for things in (2, 3, 5):
        whole = np.arange(things, dtype=float)
        taus = [float(tau_b(whole, np.array(p, float))) for p in permutations(range(things))]
        for tau in (-1, 0, 0.2, 0.6, 1):
            share = np.mean([found >= tau - 1e-9 for found in taus])
            assert by_chance(things, tau) == pytest.approx(share), (things, tau)


def test_the_least_tau_that_excludes_chance():
    assert np.isnan(needed_tau(2)) and np.isnan(needed_tau(3))  # 1 of 2 and of 6 orders
    assert needed_tau(4) == 1.0  # 1 of 24
    assert needed_tau(8) == pytest.approx(16 / 28)  # Kendall's table: 0.031 for 16, 0.054 for 14
    assert round(by_chance(8, 16 / 28), 3) == 0.031 and round(by_chance(8, 14 / 28), 3) == 0.054


def test_mutual_is_of_each_two():
    orders = np.array([[1.0, 2, 3], [1, 2, 3], [3, 2, 1]])
    assert mutual(orders).tolist() == [1.0, -1.0, -1.0]
