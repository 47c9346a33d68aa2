"""Scores from tables of times, against those of the reference's scoring code."""

import json
from pathlib import Path

import numpy as np
import pytest

from scoring.held_out import apply_held_out
from scoring.profile import profile, ratios, scores
from scoring.times import workload_times

CASES = json.loads(
    (Path(__file__).parents[1] / "golden" / "leaderboards" / "tables.json").read_text()
)
INF, NAN = float("inf"), float("nan")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_the_references_scores(case):
    names, base, held = list(case["times"]), case["base"], case["held_out"]
    cells = [[case["times"][name].get(w) for w in base + held] for name in names]
    times = np.array([[NAN if cell is None else float(cell) for cell in row] for row in cells])
    base_of = [next(i for i, b in enumerate(base) if b in name) for name in held]
    ratio = ratios(apply_held_out(times, base_of, len(base))[0])
    assert dict(zip(names, scores(ratio, integral="grid100"))) == pytest.approx(
        case["scores"], abs=1e-12
    )
    found = profile(ratio, np.linspace(1, 4, 100))
    for index, shares in case["rho_at_tau_index"].items():
        assert dict(zip(names, found[:, int(index)])) == pytest.approx(shares, abs=1e-12)


def test_medians_over_the_studies_that_there_are():
    studies = [[1, 2, 9], [1, 4, NAN], [3, INF, NAN], [INF, 2, INF], [NAN, NAN, NAN], [5, NAN, NAN]]
    assert np.array_equal(
        workload_times(np.array(studies)), [2, 2.5, INF, INF, NAN, 5], equal_nan=True
    )


def test_many_tables_at_once_are_each_alone():
    times = np.random.default_rng(0).choice([1.0, 2.0, 5.0, 9.0, INF, NAN], (50, 4, 5))
    together, reasons = apply_held_out(times, [0, 2], 3)
    for table, found, why in zip(times, together, reasons):
        alone, because = apply_held_out(table, [0, 2], 3)
        assert np.array_equal(found, alone, equal_nan=True) and np.array_equal(why, because)
    assert np.array_equal(scores(ratios(together))[7], scores(ratios(together[7])))
