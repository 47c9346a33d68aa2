"""Which trial stands for a study, and what is the median of studies that end at different times?"""

import numpy as np
import pytest

from scoring.pictures.medians import Points, median_curve, one_per_study


def points(study, x, y):
    return Points(study, np.array(x, dtype=float), np.array(y, dtype=float))


def test_the_first_to_reach_the_target_stands_for_its_study():
    late, early = points("s", [1, 9], [3.0, 1.0]), points("s", [1, 5], [3.0, 2.0])
    assert one_per_study([late, early], 2.0, "min") == [early]


@pytest.mark.parametrize("goal, better", [("min", 0), ("max", 1)])
def test_without_a_hit_the_best_value_stands_for_it(goal, better):
    both = [points("s", [1, 2], [9.0, 3.0]), points("s", [1, 2], [9.0, 9.5])]
    target = -1.0 if goal == "min" else 100.0
    assert one_per_study(both, target, goal) == [both[better]]


def test_a_trial_of_nan_alone_stands_behind_every_other():
    nothing, poor = points("s", [1], [np.nan]), points("s", [1], [50.0])
    assert one_per_study([nothing, poor], 0.0, "min") == [poor]
    assert median_curve([nothing]) is None


def test_equality_reaches_a_target_and_nan_does_not():
    assert points("s", [1, 2, 3], [np.nan, 0.5, 0.6]).first_hit(0.5, "max") == 2.0
    assert points("s", [1], [np.nan]).first_hit(0.5, "min") == np.inf


def test_a_study_that_ended_keeps_its_last_value():
    curve = median_curve([points(str(end), [0, end], [0, end]) for end in (2, 10, 10.0)])
    assert curve.x[-1] == 10
    assert curve.low[-1] == 2
    assert curve.median[-1] == curve.high[-1] == 10
    assert curve.studies == 3


def test_a_curve_ends_where_its_median_reaches_the_target():
    curve = median_curve([points("a", [0, 10], [0, 10])])
    x, far = curve.approach(5.0, "max")
    assert x[-1] == pytest.approx(5.0)
    assert far[-1] == 0 and (far[:-1] > 0).all()
    assert far[0] == 5.0
    assert curve.approach(11.0, "max")[1].min() == 1.0  # never reached: all of it
    assert curve.approach(0.0, "max")[0].tolist() == [0.0]  # from the start
    assert curve.approach(20.0, "min")[1].tolist() == [0.0]


def test_a_void_trial_reaches_nothing_and_stands_behind_one_that_does():
    void = Points("s", np.array([1.0]), np.array([0.0]), void=True)
    sound = points("s", [9], [0.0])
    assert void.first_hit(1.0, "min") == np.inf
    assert one_per_study([void, sound], 1.0, "min") == [sound]
