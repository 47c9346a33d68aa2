"""Two groups compared, and the studies of one: made-up times whose orders are known."""

import numpy as np
import pytest

from scoring.agreement import compare, stability
from scoring.agreement.rankings import of_studies
from scoring.certainty.group import Group
from scoring.certainty.resample import Plan
from scoring.rules.model import Rules, Workload
from scoring.times import TrialTimes

INF, NAN = np.inf, np.nan
NAMES = ("a", "b", "c", "d")
PLAN = Plan(200, 1)


def group(times, workloads=("ogbg", "wmt")):
    """Of times of studies [S, W, K]."""
    seconds = np.asarray(times, float)[..., None]
    rules = Rules(
        "x",
        "external",
        tuple(Workload(name, "validation/bleu", "max", 1.0, 1000.0) for name in workloads),
        studies=seconds.shape[2],
        trials=1,
    )
    numbers = np.ones(seconds.shape, dtype=np.int64)
    studies = tuple(f"study_{k}" for k in range(seconds.shape[2]))
    axes = (NAMES[: len(seconds)], rules.names, studies)
    return Group(TrialTimes(*axes, seconds, numbers, numbers), rules)


def steady(*order):
    """[S, W, K]: three like studies on two workloads, in which submissions come in this order."""
    times = np.array([100.0 + 30 * order.index(name) for name in NAMES])
    return np.broadcast_to(times[:, None, None], (4, 2, 3)).copy()


def row(table, first):
    return dict(zip(table.columns, next(r for r in table.rows if r[0] == first)))


def test_workloads_meet_by_name_or_without_the_suffix():
    found = compare.pairs_of(("ogbg_proxy", "wmt", "cifar_proxy"), ("ogbg", "wmt"), "_proxy")
    assert found == [("score", "score"), ("ogbg_proxy", "ogbg"), ("wmt", "wmt")]


def test_equal_orders_agree_wholly_and_one_exchange_is_named():
    first = group(steady(*"abcd"), ("ogbg_proxy", "wmt_proxy"))
    same = compare.tables(first, group(steady(*"abcd")), PLAN, "_proxy")
    assert row(same[0], "score")["tau-b"] == 1.0 and not same[2].rows
    taus, places, moved = compare.tables(first, group(steady(*"abdc")), PLAN, "_proxy")
    for measure in ("score", "ogbg_proxy", "wmt_proxy"):
        found = row(taus, measure)
        assert found["tau-b"] == pytest.approx(4 / 6)
        assert found["95 % low"] == found["high"] == pytest.approx(4 / 6)  # studies are alike
        assert found["opposed pairs"] == 1
    assert [r[:2] for r in moved.rows] == [["c", "d"]]
    assert [r[0] for r in places.rows] == ["a", "b", "d", "c"]
    assert row(places, "d")["rank in the first"] == 4 and row(places, "d")["in the second"] == 3


def test_the_interval_comes_from_studies_that_differ():
    times = steady(*"abcd")
    times[1, :, 1:] = 90  # b is first in two of three studies
    taus = compare.tables(group(times), group(steady(*"abcd")), PLAN, "_proxy")[0]
    found = row(taus, "score")
    assert found["95 % low"] < found["high"] == 1.0


def test_misses_of_all_leave_no_tau_on_a_workload():
    times = steady(*"abcd")
    times[:, 1] = INF
    taus = compare.tables(group(times), group(steady(*"abcd")), PLAN, "_proxy")[0]
    assert np.isnan(row(taus, "wmt")["tau-b"]) and np.isnan(row(taus, "wmt")["high"])
    assert row(taus, "ogbg")["tau-b"] == 1.0


def test_like_studies_are_stable_and_an_odd_one_shows():
    found = row(stability.tables(group(steady(*"abcd")), PLAN)[1], "score")
    assert (found["between two"], found["with all"], found["95 % low"]) == (1.0, 1.0, 1.0)
    times = steady(*"abcd")
    times[..., 2] = steady(*"dcba")[..., 2]
    found = row(stability.tables(group(times), PLAN)[1], "score")
    assert found["between two"] == pytest.approx((1 - 1 - 1) / 3)
    assert (found["least"], found["most"]) == (-1.0, 1.0)
    assert found["with all"] == pytest.approx((1 + 1 - 1) / 3)


def test_a_study_without_a_workload_has_no_score_of_its_own():
    times = steady(*"abcd")
    times[3, 1, 2] = NAN
    single = of_studies(group(times))
    assert single.left_out == ("study_2",)
    assert {name: len(values) for name, values in single.values.items()} == {
        "score": 2,
        "ogbg": 3,
        "wmt": 2,
    }
    assert "study_2" in stability.stability(group(times), PLAN).notes[1]


def test_places_tell_the_median_and_the_miss():
    times = steady(*"abcd")
    times[0, 1] = INF
    found = stability.places(group(times))
    assert row(found, "a")["wmt"] == "missed" and row(found, "a")["ogbg"] == "1 (100)"
    assert row(found, "b")["wmt"] == "1 (130)"
