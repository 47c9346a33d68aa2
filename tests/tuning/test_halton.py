"""Is the quasi-random sequence that of the reference, number for number?"""

import json
from pathlib import Path

import pytest

from algoperf_pt.tuning.halton import (
    bases,
    column,
    odd_primes,
    radical_inverse,
    scrambling,
    shuffled_index,
    unit_points,
)
from algoperf_pt.tuning.points import points
from algoperf_pt.tuning.space import parse_space

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "halton.json").read_text())
SPACES = sorted(GOLDEN["spaces"])


@pytest.mark.parametrize("name", SPACES)
def test_golden_unit_points(name):
    golden = GOLDEN["spaces"][name]
    dimensions = len(golden["space"])
    assert bases(dimensions) == golden["primes"]
    assert unit_points(golden["num_trials"], dimensions) == golden["unit_points"]


@pytest.mark.parametrize("name", SPACES)
def test_golden_points(name):
    golden = GOLDEN["spaces"][name]
    space, count = parse_space(golden["space"], name), golden["num_trials"]
    assert points(space, count) == golden["points_unshuffled"]
    assert [list(point) for point in points(space, 1)] == [list(golden["space"])]
    for seed, order in golden["shuffled_index"].items():
        assert shuffled_index(count, int(seed)) == order
        expected = [golden["points_unshuffled"][index] for index in order]
        assert points(space, count, int(seed)) == expected


def test_golden_order_of_five_trials():
    space = parse_space(GOLDEN["spaces"]["archived_adamw"]["space"], "golden")
    assert points(space, 5, seed=0) == GOLDEN["adamw_5_trials_seed0"]


@pytest.mark.parametrize("count", (3, 9))
def test_golden_list_in_its_own_order(count):
    golden = GOLDEN["list_space"]
    space = parse_space(golden["space"], "golden")
    assert points(space, count) == points(space, count, seed=1) == golden[f"num_trials_{count}"]


def test_golden_primes():
    assert odd_primes(30) == GOLDEN["generate_primes_30"]
    tail = GOLDEN["generate_primes_1000_tail"]
    assert odd_primes(1000)[-len(tail) :] == tail


def test_golden_van_der_corput():
    plain = GOLDEN["van_der_corput_base7_noshift_identity_seed"]
    assert [radical_inverse(i, 7, tuple(range(7))) for i in range(1, 13)] == plain
    digits, shift = scrambling(11)
    shifted = [(radical_inverse(i, 11, digits) + shift) % 1.0 for i in range(1, 13)]
    assert shifted == GOLDEN["van_der_corput_base11_default"]


def test_more_points_only_append():
    few, many = unit_points(5, 4), unit_points(2000, 4)
    assert many[:5] == few
    assert all(0.0 <= value < 1.0 for row in many for value in row)


def test_more_dimensions_than_primes_below_a_thousand():
    assert len(odd_primes(1000)) == 167
    assert bases(166)[0] == 3 and bases(166)[-1] == 991
    assert bases(167)[-1] < 1999 == odd_primes(2000)[-1]
    rows = unit_points(3, 200)
    assert [len(row) for row in rows] == [200] * 3
    assert rows[0][-1] == column(bases(200)[-1], 1)[0]
