"""Resamples of a leaderboard: what is drawn, what that says about scores, ranks and pairs."""

import numpy as np
import pytest

from scoring.certainty import resample
from scoring.certainty.bootstrap import resampled_scores, tables
from scoring.certainty.group import Group
from scoring.certainty.intervals import intervals, studies_to_separate
from scoring.certainty.ranks import largest_change, ranks, spearman
from scoring.certainty.resample import Plan, resampled_studies, resampled_trials
from scoring.errors import RulesError
from scoring.rules.model import Rules, Workload
from scoring.times import TrialTimes

INF, NAN = np.inf, np.nan
NAMES = ("a", "b", "c")
RULES = Rules(
    "x",
    "external",
    (
        Workload("ogbg", "validation/map", "max", 0.5, 1000.0),
        Workload("wmt", "validation/bleu", "max", 30.0, 1000.0),
        Workload("wmt_post_ln", "validation/bleu", "max", 30.0, 1000.0, "wmt"),
    ),
    studies=4,
    trials=2,
)


def group(seconds):
    """Of times [S, W, K, T]."""
    rows = np.where(np.isfinite(seconds), 1, -1)
    numbers = np.broadcast_to(np.arange(1, seconds.shape[-1] + 1), seconds.shape)
    studies = tuple(f"study_{k}" for k in range(seconds.shape[2]))
    return Group(
        TrialTimes(NAMES[: len(seconds)], RULES.names, studies, seconds, rows, numbers), RULES
    )


def noisy(seed=0, shape=(3, 3, 4, 2)):
    generator = np.random.default_rng(seed)
    seconds = generator.uniform(100, 300, shape)
    seconds[generator.random(shape) < 0.2] = INF
    return seconds


def test_identical_studies_leave_no_doubt():
    seconds = np.broadcast_to(noisy()[:, :, :1, :1], (3, 3, 4, 2)).copy()
    one = group(seconds)
    for plan in (Plan(50), Plan(50, unit="cell"), Plan(50, trials=True), Plan(50, studies=9)):
        found = resampled_scores(one, plan)
        assert np.array_equal(found, np.broadcast_to(one.scores, found.shape))
        said = intervals(found)
        assert np.array_equal(said.low, said.high) and not said.spread_of_difference.any()


@pytest.mark.parametrize("plan", [Plan(40, 3), Plan(40, 3, "cell"), Plan(40, 3, trials=True)])
def test_draws_depend_on_the_seed_alone(plan, monkeypatch):
    one = group(noisy())
    found = resampled_scores(one, plan)
    monkeypatch.setattr(resample, "ELEMENTS_AT_A_TIME", 100)
    assert np.array_equal(resampled_scores(one, plan), found)
    assert not np.array_equal(resampled_scores(one, Plan(40, 4, plan.unit, plan.trials)), found)


def test_studies_are_drawn_whole_or_by_workload():
    seconds = np.broadcast_to(np.arange(1.0, 6.0), (2, 3, 5)).copy()  # the time tells the study
    whole = np.concatenate(list(resampled_studies(seconds, Plan(200))))
    assert (whole == whole[:, :, :1]).all() and (whole[:, 0] != whole[:, 1]).any()
    assert abs(whole.mean() - 3) < 0.2 and set(whole.ravel()) == {1, 2, 3, 4, 5}
    apart = np.concatenate(list(resampled_studies(seconds, Plan(200, unit="cell", studies=2))))
    assert (apart != apart[:, :, :1]).any() and apart.shape == (200, 2, 3, 2)


def test_missing_studies_are_never_drawn():
    seconds = np.array([[[NAN, 2.0, NAN, 4.0, 5.0], [NAN] * 5]])
    drawn = np.concatenate(list(resampled_studies(seconds, Plan(100))))
    assert set(drawn[:, 0, 0].ravel()) == {2.0, 4.0, 5.0} and np.isnan(drawn[:, 0, 1]).all()


def test_drawn_trials_keep_their_points_on_all_workloads():
    seconds = np.empty((1, 2, 1, 2))
    seconds[0, 0, 0], seconds[0, 1, 0] = (10, 20), (40, 30)  # each point is best on one workload
    place = seconds.argsort(-1).argsort(-1)
    drawn = np.concatenate(list(resampled_trials(seconds, place, Plan(400, trials=True))))
    pairs, counts = np.unique(drawn[..., 0].reshape(400, 2), axis=0, return_counts=True)
    assert pairs.tolist() == [[10, 30], [10, 40], [20, 30]]  # both, the first alone, the second
    assert abs(counts[0] / 400 - 0.5) < 0.1


def test_a_missing_trial_is_a_miss_when_it_is_drawn():
    seconds = np.array([[[[7.0, NAN]]]])
    drawn = np.concatenate(list(resampled_trials(seconds, np.array([[[[0, 1]]]]), Plan(100))))
    assert set(drawn.ravel()) == {7.0, INF}


def test_probabilities_of_pairs_and_ranks_add_up():
    said = intervals(resampled_scores(group(noisy()), Plan(300)))
    assert np.allclose(said.beats + said.beats.T + said.ties, 1)
    assert np.allclose(said.at_rank.sum(1), 1)
    assert (said.low <= said.mean).all() and (said.mean <= said.high).all()
    assert (said.rank_low >= 1).all() and (said.rank_high <= 3).all()


def test_intervals_are_percentiles():
    found = intervals(np.stack([np.arange(101.0), np.full(101, 200.0)], 1), level=0.9)
    assert np.allclose(found.low, [5, 200]) and np.allclose(found.high, [95, 200])
    assert found.beats.tolist() == [[0, 0], [1, 0]] and found.at_rank.tolist() == [[0, 1], [1, 0]]
    with pytest.raises(ValueError, match="level is 95"):
        intervals(np.ones((3, 1)), level=95)


def test_studies_needed_follow_the_variance():
    assert studies_to_separate(0.1, 0.1, 5) == 20  # 5 * 1.96^2 = 19.2
    assert studies_to_separate(-0.1, 0.05, 5) == 5
    assert studies_to_separate(0.0, 0.1, 5) == INF
    assert studies_to_separate(0.1, 0.0, 5) == 5 and studies_to_separate(0.0, 0.0, 5) == INF


def test_equal_scores_share_the_better_rank():
    assert ranks(np.array([0.2, 0.5, 0.5 + 1e-14, 0.1])).tolist() == [3, 1, 1, 4]
    assert largest_change("abc", np.array([1, 2, 3]), np.array([2, 1, 3])) == ("a", 1, 2)
    assert spearman(np.array([1.0, 2, 3]), np.array([5.0, 6, 9])) == pytest.approx(1)
    assert spearman(np.array([1.0, 2, 3]), np.array([9.0, 6, 5])) == pytest.approx(-1)
    assert np.isnan(spearman(np.ones(3), np.arange(3.0)))


def test_more_studies_narrow_the_intervals():
    one = group(noisy(shape=(2, 3, 5, 1)))
    few = intervals(resampled_scores(one, Plan(400)))
    many = intervals(resampled_scores(one, Plan(400, studies=51)))
    assert (many.spread < few.spread).all()


def test_tables_of_a_bootstrap():
    found = {table.name: table for table in tables(group(noisy()), Plan(20, 7))}
    assert len(found["bootstrap_pairs"].rows) == 3 and len(found["bootstrap_separation"].rows) == 2
    assert "seed 7" in found["bootstrap_intervals"].text()
    for plan in (Plan(0), Plan(5, studies=0)):
        with pytest.raises(RulesError, match="start at 1"):
            tables(group(noisy()), plan)
