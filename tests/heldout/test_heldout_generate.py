"""From declared axes and a seed to a variant: bounds, determinism, difference; what axes may be."""

import random

import pytest

from algoperf_pt.errors import ConfigError
from algoperf_pt.heldout.axes import Axis, parse_axes
from algoperf_pt.heldout.files import names_of
from algoperf_pt.heldout.generate import generate, settings, variant_name
from algoperf_pt.heldout.variant import load_base
from tests.support.workloads import NAMES, TIERS, node

BASES = [name for name in NAMES if {name, node(name).get("base")} & set(names_of("axes"))]
BASES = [n for n in BASES if TIERS[n] not in ("full", "proxy") or not node(n).get("base")]
BASES.remove("criteo1tb_test")
SEEDS = range(40)


@pytest.fixture(scope="module")
def bases():
    return {name: load_base(name) for name in BASES}


def make(base, seed, count):
    values = generate(base.axes, seed, count)
    changed = settings(base.axes, values, seed, base.node["num_examples"]["train"])
    return values, changed, variant_name(base.name, changed)


def test_every_scored_workload_has_axes():
    scored = [n for n in NAMES if node(n).get("tier", "full") == "full" and not node(n).get("base")]
    assert set(scored) <= set(names_of("axes")) <= set(NAMES)


@pytest.mark.parametrize("name", BASES)
def test_variants_stay_in_bounds_and_are_never_the_base(bases, name):
    base = bases[name]
    for seed in SEEDS:
        for count in range(1, len(base.axes) + 1):
            values = generate(base.axes, seed, count)
            assert len(values) == count
            for axis in base.axes:
                if axis.name in values:
                    assert axis.allows(values[axis.name]), (seed, axis, values)
                    assert values[axis.name] != axis.base


@pytest.mark.parametrize("name", BASES)
def test_a_seed_has_one_variant_and_seeds_have_different_ones(bases, name):
    base = bases[name]
    count = min(2, len(base.axes))
    made = [make(base, seed, count) for seed in SEEDS]
    assert made == [make(base, seed, count) for seed in SEEDS]
    names = {variant for *_, variant in made}
    assert len(names) == len({repr(changed) for _, changed, _ in made})
    assert len(names) > len(SEEDS) / 3  # where choices are few, seeds meet


def test_numbers_of_a_seed_stay_what_they_are(bases):
    """They are published by seed: a change here is a change of every variant that was made."""
    values, changed, name = make(bases["wmt"], 7, 2)
    assert values == {"hidden": 2048, "data_fraction": 0.36}
    assert name == "wmt_v724e0075"
    subset = changed["data"]["options"]["subset"]
    assert subset == {"of": 5906184, "seed": 938690718}
    assert changed["num_examples"]["train"] == 2126226


def test_an_axis_more_leaves_the_values_of_the_others(bases):
    axes = bases["wmt"].axes
    more = [*axes, Axis("extra", "model.extra", 0, (1, 2), None, False, "")]
    for seed in SEEDS:
        few, many = generate(axes, seed, len(axes)), generate(more, seed, len(more))
        assert few == {name: many[name] for name in few}


def test_all_options_and_the_whole_range_occur():
    axes = [
        Axis("a", "model.a", 0, (1, 2, 3), None, False, ""),
        Axis("b", "model.b", 1.0, (), (0.01, 100.0), True, ""),
    ]
    drawn = [generate(axes, seed, 2) for seed in range(300)]
    assert {d["a"] for d in drawn} == {1, 2, 3}
    below = sum(d["b"] < 1.0 for d in drawn)
    assert 100 < below < 200  # half of the range on a log scale
    assert min(d["b"] for d in drawn) < 0.02 and max(d["b"] for d in drawn) > 50


@pytest.mark.parametrize("case", range(50))
def test_random_axes_keep_to_their_bounds(case):
    rng = random.Random(case)
    low = rng.uniform(0.001, 5)
    high = low * rng.uniform(1.5, 100)
    base = rng.choice([low, high, float(f"{(low + high) / 2:.2g}")])
    axis = Axis("x", "model.x", base, (), (low, high), rng.random() < 0.5, "")
    values = [generate([axis], seed, 1)["x"] for seed in range(30)]
    assert all(axis.allows(value) for value in values)
    assert len(set(values)) > 3


@pytest.mark.parametrize("count", [0, 4, -1])
def test_no_more_axes_change_than_there_are(bases, count):
    with pytest.raises(ConfigError, match="axes cannot change"):
        generate(bases["digits"].axes, 1, count)


def test_a_range_that_is_the_base_alone_is_an_error():
    axis = Axis("x", "model.x", 1.0, (), (0.9999, 1.0001), False, "")
    with pytest.raises(ConfigError, match="nothing but the base"):
        generate([axis], 1, 1)


# ---- what an axis may be


WORKLOAD = {"model": {"width": 64, "sizes": [3, 4], "kind": "relu"}}


def parsed(**entry):
    axes = parse_axes({"x": {"why": "a reason", **entry}}, WORKLOAD, "x.yaml")
    return axes[0] if axes else None


def test_factors_are_of_the_base_and_rounded():
    axis = parsed(sets="model.width", factors=[0.1, 0.4, 0.5, 1, 1.5], multiple=32)
    assert axis.options == (32, 96)
    assert parsed(sets="model.sizes", factors=[0.5, 2]).options == ([2, 2], [6, 8])


def test_choices_leave_the_base_out():
    assert parsed(sets="model.kind", choices=["relu", "tanh"]).options == ("tanh",)
    assert parsed(sets="model.gate", choices=[True, False], base=False).options == (True,)


def test_an_axis_that_cannot_change_the_workload_is_left_out():
    assert parsed(sets="model.kind", choices=["relu"]) is None


@pytest.mark.parametrize(
    "entry, message",
    [
        ({"sets": "model.width"}, "axis x"),
        ({"sets": "model.width", "factors": [2], "choices": [1]}, "axis x"),
        ({"sets": "model.width", "choices": [1], "chioces": [2]}, "axis x"),
        ({"sets": "model.depth", "factors": [2]}, "has no value"),
        ({"sets": "model.width", "range": [2, 1]}, "range"),
        ({"sets": "model.width", "range": [1]}, "range"),
        ({"sets": "model.width", "range": [0, 1], "scaling": "log"}, "scaling"),
        ({"sets": "model.width", "range": [1, 2], "scaling": "cubic"}, "scaling"),
        ({"sets": "model.width", "choices": []}, "has \\[\\]"),
        ({"sets": "model.kind", "factors": [2]}, "factors"),
        ({"sets": "model.width", "factors": ["two"]}, "factors"),
        ({"sets": "model.width", "factors": [2], "multiple": 0}, "multiple"),
    ],
)
def test_an_impossible_axis_says_why(entry, message):
    with pytest.raises(ConfigError, match=message):
        parsed(**entry)


def test_two_axes_on_one_key_are_refused():
    entry = {"sets": "model.width", "factors": [2], "why": ""}
    with pytest.raises(ConfigError, match="two axes set model.width"):
        parse_axes({"a": entry, "b": entry}, WORKLOAD, "x.yaml")
