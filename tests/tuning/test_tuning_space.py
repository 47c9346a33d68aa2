"""Is every wrong search space refused, with its key and value, and every right one taken?"""

import pytest

from algoperf_pt.errors import ConfigError
from algoperf_pt.tuning.points import points
from algoperf_pt.tuning.space import parse_space

RANGE = {"min": 1e-4, "max": 1e-2, "scaling": "log"}
WRONG = {
    "nothing": ({}, "cannot be {}"),
    "an empty list": ([], "cannot be []"),
    "a file name": ("space.json", "cannot be 'space.json'"),
    "min above max": ({"lr": RANGE | {"min": 1}}, "lr: min 1 is larger than max 0.01"),
    "log of zero": ({"lr": RANGE | {"min": 0.0}}, "lr.min is 0.0: it has no logarithm"),
    "log of a negative": ({"lr": RANGE | {"min": -1}}, "lr.min is -1: it has no logarithm"),
    "an unknown key": ({"lr": RANGE | {"step": 1}}, "lr: unknown key 'step'"),
    "two forms": ({"lr": RANGE | {"feasible_points": [1]}}, "lr: unknown key 'min'"),
    "no scaling": ({"lr": {"min": 1, "max": 2}}, "lr has no scaling"),
    "no max": ({"lr": {"min": 1, "scaling": "log"}}, "lr has no max"),
    "another scaling": ({"lr": RANGE | {"scaling": "lin"}}, "lr.scaling is 'lin'"),
    "no choice": ({"lr": {"feasible_points": []}}, "lr.feasible_points is []"),
    "one choice": ({"lr": {"feasible_points": 0.1}}, "lr.feasible_points is 0.1"),
    "a NaN to choose": ({"lr": {"feasible_points": [float("nan")]}}, "lr.feasible_points is nan"),
    "a value": ({"lr": 0.1}, "lr is 0.1"),
    "an empty entry": ({"lr": {}}, "lr is {}"),
    "NaN": ({"lr": RANGE | {"min": float("nan")}}, "lr.min is nan"),
    "infinity": ({"lr": RANGE | {"max": float("inf")}}, "lr.max is inf"),
    "text": ({"lr": RANGE | {"min": "1e-4"}}, "lr.min is '1e-4'"),
    "truth": ({"lr": RANGE | {"max": True}}, "lr.max is True"),
    "a number as name": ({1: RANGE}, "a hyperparameter has the name 1"),
    "a point without a name": ([{"a": 1, "b": 2}, {"a": 1}], "point 2 lacks 'b'"),
    "a point with a name more": ([{"a": 1}, {"a": 1, "b": 2}], "point 2 has 'b'"),
    "no point": ([{"a": 1}, 3], "point 2 is 3"),
    "an empty point": ([{}], "point 1 is {}"),
    "a NaN in a point": ([{"a": float("nan")}], "point 1: a is nan"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_space_is_refused(case):
    content, problem = WRONG[case]
    with pytest.raises(ConfigError) as caught:
        parse_space(content, "conf/submission/mine.yaml: space")
    assert problem in caught.value.problem
    assert caught.value.expected
    assert caught.value.where == "conf/submission/mine.yaml: space"


def test_one_value_by_a_range_without_width():
    for scaling in ("log", "linear"):
        space = parse_space({"lr": {"min": 0.1, "max": 0.1, "scaling": scaling}}, "here")
        assert points(space, 2) == [{"lr": 0.1}] * 2


def test_a_constant_takes_a_dimension():
    both = {"fixed": {"feasible_points": [7]}, "lr": RANGE}
    first = points(parse_space(both, "here"), 1)[0]
    alone = points(parse_space({"lr": RANGE}, "here"), 1)[0]
    assert first == {"fixed": 7, "lr": alone["lr"]}  # the last dimension keeps its prime
    turned = points(parse_space(dict(reversed(both.items())), "here"), 1)[0]
    assert turned["lr"] != alone["lr"]


def test_values_of_any_kind_can_be_chosen():
    values = ["adam", None, True, [0.9, 0.99], {"a": 1}]
    drawn = points(parse_space({"x": {"feasible_points": values}}, "here"), 60)
    assert all(any(point["x"] == value for point in drawn) for value in values)


def test_the_names_of_a_list_may_come_in_any_order():
    space = parse_space([{"a": 1, "b": 2}, {"b": 3, "a": 4}], "here")
    assert space.names == ["a", "b"]
    assert [list(point) for point in points(space, 5)] == [["a", "b"]] * 2


def test_a_point_is_a_copy():
    space = parse_space([{"a": 1}], "here")
    points(space, 1)[0]["a"] = 5
    assert points(space, 1) == [{"a": 1}]


@pytest.mark.parametrize(("count", "seed"), ((0, None), (3, -1), (3, 2**32)))
def test_impossible_numbers(count, seed):
    with pytest.raises(ConfigError):
        points(parse_space({"lr": RANGE}, "here"), count, seed)
