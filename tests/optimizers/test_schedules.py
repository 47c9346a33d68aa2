"""Are the schedules those of the published runs, on every workload's step hint?"""

import json
from collections.abc import Callable
from typing import Any

import pytest

from optimizers.dropout import LinearDropout
from optimizers.schedules import Constant, Warmup, WarmupCosine, WarmupCosineCycles, WarmupLinear
from tests.optimizers import problem

GOLDEN: dict[str, Any] = json.loads((problem.GOLDEN / "lr_schedules.json").read_text())
Schedule = Callable[[int], float]


def cosine(key: str, entry: dict[str, Any]) -> Schedule:
    factor = float(key.partition("warmup_factor=")[2])
    return WarmupCosine(entry["step_hint"], warmup_factor=factor)


def cosine_float_warmup(key: str, entry: dict[str, Any]) -> Schedule:
    return WarmupCosine(entry["step_hint"], warmup_factor=0.05, integer_warmup=False)


def cosine_adamg(key: str, entry: dict[str, Any]) -> Schedule:
    return WarmupCosine(
        entry["step_hint"], warmup_factor=0.02, horizon_factor=0.75, integer_horizon=False
    )


def cosine_shampoo(key: str, entry: dict[str, Any]) -> Schedule:
    return WarmupCosine(
        entry["step_hint"], warmup_factor=0.05, horizon_factor=0.6, integer_horizon=False
    )


def linear(key: str, entry: dict[str, Any]) -> Schedule:
    return WarmupLinear(
        entry["step_hint"],
        warmup_factor=0.05,
        decay_steps_factor=entry["decay_steps_factor"],
        end_factor=entry["end_factor"],
    )


def target_setting(key: str, entry: dict[str, Any]) -> Schedule:
    common = {"horizon_factor": 0.75, "warmup_steps": entry["warmup_steps"]}
    if "end_factor" not in entry:
        return WarmupCosine(entry["step_hint"], **common)
    return WarmupLinear(
        entry["step_hint"],
        decay_steps_factor=entry["decay_steps_factor"],
        end_factor=entry["end_factor"],
        **common,
    )


def cosine_jax(key: str, entry: dict[str, Any]) -> Schedule:
    factor = entry["warmup_steps"] / entry["step_hint"] + 1e-9
    return WarmupCosine(entry["step_hint"], warmup_factor=factor, after_horizon="zero", start=0.0)


def cycles(count: int) -> Callable[[str, dict[str, Any]], Schedule]:
    return lambda key, entry: WarmupCosineCycles(entry["step_hint"], 0.05, cycles=count)


def schedule_free(key: str, entry: dict[str, Any]) -> Schedule:
    schedule = Warmup(entry["step_hint"], warmup_factor=0.02, horizon_factor=0.75)
    assert schedule.warmup == entry["warmup_steps"]
    return schedule


FAMILIES = {
    "cosine": cosine,
    "cosine_float_warmup": cosine_float_warmup,
    "cosine_adamg": cosine_adamg,
    "cosine_shampoo_step_hint_factor_0.6": cosine_shampoo,
    "linear": linear,
    "target_setting": target_setting,
    "cosine_jax": cosine_jax,
    "warm_cosine_lawa_cyclic1": cycles(1),
    "warm_cosine_cycles2": cycles(2),
    "schedule_free_self": schedule_free,
}
SINGLE = ("linear", "cosine_jax")  # computed in single precision by the reference


def test_all_eight_workloads_are_covered() -> None:
    for family in FAMILIES:
        assert len({key.split("/")[1] for key in GOLDEN if key.split("/")[0] == family}) == 8


@pytest.mark.parametrize("key", GOLDEN)
def test_golden(key: str) -> None:
    entry = GOLDEN[key]
    schedule = FAMILIES[key.split("/")[0]](key, entry)
    peak = entry.get("learning_rate", 1.0)
    single = key.split("/")[0] in SINGLE or "end_factor" in entry
    for step, expected in entry["lr"].items():
        limit = {"rel": 1e-6, "abs": 1e-7 * peak} if single else {"rel": 1e-12, "abs": 1e-12}
        assert peak * schedule(int(step)) == pytest.approx(expected, **limit), step


def test_the_ends_of_a_cosine() -> None:
    schedule = WarmupCosine(100, warmup_factor=0.1)
    assert [schedule(0), schedule(10), schedule(100)] == [1e-10, 1.0, 0.0]
    assert schedule(5) == pytest.approx(0.5)


def test_after_the_horizon() -> None:
    reference = WarmupCosine(100, warmup_factor=0.1)
    zero = WarmupCosine(100, warmup_factor=0.1, after_horizon="zero")
    assert reference(130) == pytest.approx(reference(70)) and reference(190) == pytest.approx(1.0)
    assert [zero(step) for step in (100, 101, 130, 190, 10**6)] == [0.0] * 5
    assert [zero(step) for step in range(101)] == [reference(step) for step in range(101)]


@pytest.mark.parametrize("kind", (WarmupCosine, WarmupLinear))
def test_no_warmup_starts_at_the_peak(kind: type) -> None:
    assert kind(40, warmup_factor=0.0)(0) == 1.0
    assert kind(40, warmup_factor=0.01)(0) == 1.0  # int(0.4) = 0 steps
    assert kind(40, warmup_steps=0)(0) == 1.0


@pytest.mark.parametrize("kind", (WarmupCosine, WarmupLinear))
def test_warmup_is_a_twentieth_unless_given(kind: type) -> None:
    assert kind(1000).warmup == 50 and kind(1000, warmup_steps=7).warmup == 7


@pytest.mark.parametrize("kind", (WarmupCosine, WarmupLinear))
@pytest.mark.parametrize("hint", (1, 2, 3))
def test_tiny_horizons(kind: type, hint: int) -> None:
    for factor in (0.0, 0.5, 1.0):
        values = [kind(hint, warmup_factor=factor)(step) for step in range(10)]
        assert all(0.0 <= value <= 1.0 for value in values)


def test_cycles_start_and_end_at_the_floor() -> None:
    schedule = WarmupCosineCycles(90, warmup_factor=0.1, cycles=3, floor=0.25)  # W = 9
    assert [schedule(0), schedule(9), schedule(39), schedule(69)] == [1.0] * 4
    assert [schedule(30), schedule(60), schedule(90), schedule(10**6)] == [0.25] * 4
    assert schedule(31) == pytest.approx(0.25 + 0.75 / 9)
    assert WarmupCosineCycles(90, 0.1, first_at_peak=False)(0) == 1e-10


def test_dropout_goes_from_one_rate_to_another() -> None:
    rate = LinearDropout(100, first=0.2, last=0.1, share=0.5)
    assert [rate(0), rate(25), rate(50), rate(10**6)] == pytest.approx([0.2, 0.15, 0.1, 0.1])


def test_a_real_warmup_repeats_its_last_value() -> None:
    schedule = WarmupCosine(41, warmup_factor=0.05, integer_warmup=False)  # W = 2.05
    assert schedule(2) == schedule(3) == pytest.approx(2 / 2.05)
    assert schedule(4) < schedule(3)


def test_constant() -> None:
    assert Constant(step_hint=10)(0) == Constant()(10**6) == 1.0


@pytest.mark.parametrize(
    ("kind", "arguments", "message"),
    (
        (WarmupCosine, {"step_hint": 0}, "step_hint = 0, expected a number of steps above 0"),
        (WarmupCosine, {"warmup_factor": -0.1}, "warmup_factor = -0.1, expected a share"),
        (WarmupCosine, {"warmup_factor": 1.5}, "warmup_factor = 1.5, expected a share"),
        (WarmupCosine, {"warmup_steps": 101}, "warmup_steps = 101, expected a whole number"),
        (WarmupCosine, {"warmup_steps": 1.5}, "warmup_steps = 1.5, expected a whole number"),
        (
            WarmupCosine,
            {"warmup_steps": 5, "warmup_factor": 0.1},
            "warmup_factor = 0.1, expected null beside warmup_steps = 5",
        ),
        (WarmupCosine, {"horizon_factor": 0.0}, "horizon_factor = 0.0, expected a share"),
        (WarmupCosine, {"after_horizon": "rise"}, "after_horizon = 'rise', expected 'reference'"),
        (WarmupCosine, {"start": -1.0}, "start = -1.0, expected a factor from 0 to 1"),
        (WarmupCosineCycles, {"cycles": 0}, "cycles = 0, expected a whole number above 0"),
        (WarmupCosineCycles, {"cycles": 30}, "warmup_factor = None, expected a share of at most"),
        (WarmupCosineCycles, {"floor": 2.0}, "floor = 2.0, expected a factor from 0 to 1"),
        (LinearDropout, {"first": 0.0, "last": 1.0}, "last = 1.0, expected a rate from 0 to below"),
        (
            LinearDropout,
            {"first": 0.0, "last": 0.1, "share": 0.0},
            "share = 0.0, expected a share of the step hint above 0",
        ),
        (WarmupLinear, {"end_factor": 1.5}, "end_factor = 1.5, expected a share from 0 to 1"),
        (WarmupLinear, {"decay_steps_factor": 0}, "decay_steps_factor = 0, expected a share"),
        (WarmupLinear, {"step_hint": float("nan")}, "step_hint = nan, expected"),
    ),
)
def test_bad_arguments_are_named(kind: type, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        kind(**{"step_hint": 100, **arguments})
