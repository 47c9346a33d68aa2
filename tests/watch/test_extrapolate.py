"""A guess is a line over log time, or none."""

import csv
import math

import pytest
import yaml

from algoperf_pt.watch.extrapolate import extrapolate
from tests.support.leaderboards import PUBLIC
from tests.support.runs import ROOT


def line(times, a=0.5, b=0.1, noise=0.0):
    return [(t, a + b * math.log(t) + noise * (-1) ** i) for i, t in enumerate(times)]


def test_a_line_is_continued_exactly():
    guess = extrapolate(line(range(1, 21)), 0.9)
    expected = math.exp(4)
    assert (guess.time, guess.low, guess.high) == pytest.approx((expected,) * 3)


def test_smaller_may_be_better():
    guess = extrapolate(line(range(1, 21), b=-0.1), 0.15)
    assert guess.time == pytest.approx(math.exp(3.5))


def test_the_range_is_that_of_other_fits():
    guess = extrapolate(line(range(1, 21), noise=0.004), 0.9)
    assert 20 <= guess.low < guess.time < guess.high < math.inf


def test_a_bend_leaves_the_upper_end_open():
    points = line(range(1, 21))
    flat = points[:-4] + [(t, 0.78 - 0.0001 * t) for t in (17, 18, 19, 20)]
    assert extrapolate(flat, 0.9).high == math.inf


@pytest.mark.parametrize(
    "points, target",
    [
        (line((1, 2, 3)), 0.9),  # too few
        ([(0.0, 0.1)] * 9, 0.9),  # at the begin of time
        ([(5.0, 0.1)] * 9, 0.9),  # all at one time
        (line(range(1, 21), b=-0.1), 0.9),  # away from it
        ([(t, 0.5) for t in range(1, 21)], 0.9),  # flat
        (line(range(1, 21)), 0.5 + 0.1 * math.log(5000)),  # in 250 times the time used
        (line(range(1, 21)), 0.5 + 0.1 * math.log(18)),  # the line has met it
        ([(t, 1e308 * (-1) ** t) for t in range(1, 21)], 0.9),  # not for floats
    ],
)
def test_it_cannot_be_told(points, target):
    assert extrapolate(points, target) is None


def public_curves():
    """(points, target, time of reaching it) of public trials that reached their target."""
    targets = yaml.safe_load((ROOT / "conf/targets/v06.yaml").read_text())["workloads"]
    for path in sorted(PUBLIC.glob("v0.*/logs/**/eval_measurements.csv")):
        workload = targets.get(path.parts[-3].removesuffix("_jax").removesuffix("_pytorch"))
        if workload is None:
            continue
        column = f"validation/{workload['metric']}"
        with path.open(newline="") as file:
            rows = [row for row in csv.DictReader(file) if row.get(column)]
        points = [(float(r["accumulated_submission_time"]), float(r[column])) for r in rows]
        target, sign = workload["validation_target"], 1 if workload["direction"] == "max" else -1
        met = next((t for t, v in points if sign * v > sign * target), None)
        if met is not None:
            yield points, target, met


@pytest.mark.skipif(not PUBLIC.is_dir(), reason=f"no public logs in {PUBLIC}")
@pytest.mark.parametrize("share, least", [(0.25, 0.3), (0.5, 0.5), (0.75, 0.6)])
def test_how_often_the_range_holds_the_truth(share, least):
    """The figures in docs/watch.md."""
    held, ratios, told, asked = 0, [], 0, 0
    for points, target, met in public_curves():
        known = [(t, v) for t, v in points if t <= share * met]
        if len(known) < 4:
            continue
        asked += 1
        guess = extrapolate(known, target)
        if guess is not None:
            told += 1
            held += guess.low <= met <= guess.high
            ratios.append(guess.time / met)
    ratios.sort()
    quarters = [ratios[len(ratios) * i // 4] for i in (1, 2, 3)]
    print(f"{share}: {asked} asked, {told} told, {held / told:.2f} held, ratios {quarters}")
    assert told >= 0.8 * asked > 40
    assert held / told >= least
