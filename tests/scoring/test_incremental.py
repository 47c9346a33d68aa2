"""Is a place that is decided early the place that the whole protocol gives?"""

from pathlib import Path

import numpy as np
import pytest

from scoring.incremental.bounds import bounds, limits, needed, scored
from scoring.incremental.evidence import Evidence, Rivals
from scoring.incremental.policy import Evaluation, Rules
from scoring.incremental.predict import chances
from scoring.incremental.replay import replay
from scoring.logs.trial import Logs, Trial
from scoring.rules.model import Rules as Version
from scoring.rules.model import Workload
from scripts.simulate_incremental import main

INF = float("inf")
W, K, I = 3, 3, 2  # noqa: E741


class Replay:
    """Trials whose end is known; counts what is run."""

    def __init__(self, reached, ends):
        self.reached, self.ends, self.calls = reached, ends, []

    def run(self, evaluation, ask):
        time, end = self.reached[ask.place], self.ends[ask.place]
        self.calls.append(ask)
        if time <= ask.until:
            evaluation.show(ask.place, time, time, True)
        else:
            evaluation.show(ask.place, min(ask.until, end), INF, end <= ask.until)


def made_up(seed):
    """(rivals, times to target of the trials [W, K, I], their ends)."""
    generator = np.random.default_rng(seed)
    budgets = np.array([10.0, 100.0, 1000.0])
    level = budgets * generator.uniform(0.1, 0.9, (5, W))
    spread = generator.lognormal(0, 0.15, (5, W, K, I))
    times = level[..., None, None] * spread
    times = np.where(generator.random(times.shape) < 0.2, INF, times)
    times = np.where(times <= budgets[:, None, None], times, INF)
    rivals = Rivals(tuple("abcd"), ("x", "y", "z"), times[1:].min(-1), budgets)
    own = times[0]
    return rivals, own, np.where(np.isfinite(own), own, budgets[:, None, None])


def decided(rivals, own, ends, rules, at_once=1):
    replay = Replay(own, ends)
    evaluation = Evaluation(rivals, Evidence((W, K, I)), rules)
    for _ in range(1000):
        asks = evaluation.ask(at_once)
        if not asks:
            return evaluation.verdict, replay
        assert len(asks) <= at_once
        for ask in asks:
            replay.run(evaluation, ask)
    raise AssertionError("it never ends")


def truth(rivals, own):
    mine, others = scored(rivals, np.median(own.min(-1), -1))
    return float(mine), np.sign(mine - others)


@pytest.mark.parametrize("at_once", [1, 5])
@pytest.mark.parametrize("seed", range(25))
def test_without_a_confidence_no_place_is_wrong(seed, at_once):
    rivals, own, ends = made_up(seed)
    verdict, _ = decided(rivals, own, ends, Rules(), at_once)
    score, places = truth(rivals, own)
    least, most = verdict.bounds.score
    assert least - 1e-12 <= score <= most + 1e-12
    assert np.array_equal(np.sign(verdict.chances - 0.5), places)
    assert verdict.cost <= ends.sum()


@pytest.mark.slow
def test_most_is_saved_and_confidence_saves_more():
    costs = {1.0: 0.0, 0.8: 0.0}
    full = 0.0
    for seed in range(15):
        rivals, own, ends = made_up(seed)
        full += ends.sum()
        for confidence in costs:
            costs[confidence] += decided(rivals, own, ends, Rules(confidence))[0].cost
    assert costs[0.8] < 0.9 * costs[1.0] < 0.9 * full


@pytest.mark.slow
def test_a_stated_confidence_is_kept():
    """Over many submissions, at most about as many wrong places as the confidence leaves."""
    wrong = total = 0
    for seed in range(25):
        rivals, own, ends = made_up(seed)
        verdict, _ = decided(rivals, own, ends, Rules(0.9))
        places = truth(rivals, own)[1]
        wrong += int(((verdict.chances > 0.5) != (places > 0))[places != 0].sum())
        total += int((places != 0).sum())
    assert 0 < wrong < 0.1 * total


def test_the_worse_half_of_a_study_is_left_behind():
    rivals, _, ends = made_up(1)
    replay = Replay(np.full((W, K, I), INF), ends)
    evaluation = Evaluation(rivals, Evidence((W, K, I)), Rules(halving=True))
    first = evaluation.ask(I)
    assert [ask.trial for ask in first] == [0, 1]
    for ask in first:
        replay.run(evaluation, ask)
    evaluation.evidence.progress[first[0].place] = -2.0
    evaluation.evidence.progress[first[1].place] = -1.0
    evaluation.ask()
    dropped = np.argwhere(evaluation.evidence.dropped)
    assert [tuple(place) for place in dropped] == [first[0].place]


def test_bounds_close_on_the_score():
    rivals, own, _ = made_up(3)
    evidence = Evidence((W, K, I))
    wide = bounds(rivals, *evidence.times())
    assert wide.score[0] == 0.0 and wide.score[1] == 1.0 and wide.open.all()
    evidence.reached, evidence.over[:] = own.copy(), True
    exact = bounds(rivals, *evidence.times())
    assert exact.score[0] == exact.score[1] == pytest.approx(truth(rivals, own)[0])
    assert not exact.open.any() and not needed(rivals, evidence).any()


def test_what_cannot_win_any_more_is_not_run():
    rivals = Rivals(("a",), ("x",), np.array([[[10.0, 10.0, 10.0]]]), np.array([100.0]))
    evidence = Evidence((1, 3, 2))
    assert limits(rivals, evidence).tolist() == [[40.0, 40.0, 40.0]]  # 4 x the fastest
    evidence.reached[0, 0, 0] = 8.0
    assert limits(rivals, evidence)[0].tolist() == [8.0, 40.0, 40.0]  # its study has a faster one
    evidence.reached[0, 1, 0] = 6.0
    assert limits(rivals, evidence)[0].tolist() == [8.0, 6.0, 8.0]  # the median is at most 8
    assert needed(rivals, evidence)[0].any(-1).all()
    evidence.over[0, ::2] = True  # the others take 8 s and longer: 6 s or less is below the median
    assert not needed(rivals, evidence).any()


def test_what_two_of_three_studies_missed_is_missed():
    rivals = Rivals(("a",), ("x",), np.array([[[10.0, 10.0, 10.0]]]), np.array([100.0]))
    evidence = Evidence((1, 3, 2))
    evidence.over[0, :2] = True
    assert not needed(rivals, evidence).any()


def test_chances_follow_what_is_seen():
    rivals, own, _ = made_up(5)
    generator = np.random.default_rng(0)
    nothing = chances(rivals, Evidence((W, K, I)), generator)
    fast, slow = Evidence((W, K, I)), Evidence((W, K, I))
    fast.reached[:, 0, :] = 0.05 * rivals.budgets[:, None]
    slow.reached[:, 0, :], slow.over[:, 0, :] = 0.99 * rivals.budgets[:, None], True
    assert (chances(rivals, fast, generator) > nothing).all()
    assert (chances(rivals, slow, generator) < nothing).all()
    assert np.array_equal(
        chances(rivals, fast, np.random.default_rng(1)),
        chances(rivals, fast, np.random.default_rng(1)),
    )


def curve(submission, study, number, reached, end):
    """A trial that is evaluated every 10 s and has accuracy 1 from `reached` on."""
    clock = np.arange(10.0, end + 1, 10.0)
    columns = {"score": clock, "global_step": clock}
    columns["validation/accuracy"] = np.where(clock >= reached, 1.0, clock / 1000)
    return Trial(submission, study, "x", "", number, Path("."), columns)


def test_finished_logs_are_played_again():
    """b is twice as slow as a: the place is known as soon as two studies of three have shown it."""
    trials = [curve("a", f"study_{k}", n, 100.0 * n, 200.0) for k in range(3) for n in (1, 2)]
    trials += [curve("b", f"study_{k}", 1, 200.0, 300.0) for k in range(3)]
    one = Workload("x", "validation/accuracy", "max", 0.9, 400.0)
    found = replay(Logs(tuple(trials)), Version("0.6", "external", (one,), 3, 2), Rules())
    assert [outcome.submission for outcome in found] == ["a", "b"]
    assert [outcome.wrong for outcome in found] == [0, 0]
    assert [outcome.score for outcome in found] == [1.0, pytest.approx(2 / 3)]
    assert [outcome.hours * 3600 for outcome in found] == [1200.0, 900.0]
    assert found[0].share == pytest.approx(400 / 1200)  # both trials of two studies, to 100 s
    assert found[1].share <= 400 / 900  # two studies until they are slower than a


def test_the_table_of_a_simulation(tmp_path, capsys):
    for name, factor in {"fast": 1, "slow": 3}.items():
        for study in range(3):
            folder = tmp_path / name / f"study_{study}" / "ogbg" / "trial_1"
            folder.mkdir(parents=True)
            rows = [f"{t * factor},{t},{0.3 if t >= 300 else 0.1}" for t in range(100, 500, 100)]
            head = "score,global_step,validation/mean_average_precision"
            (folder / "eval_measurements.csv").write_text("\n".join([head, *rows]) + "\n")
    assert main([str(tmp_path), "--confidence", "1", "0.8"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == (
        "AlgoPerf 0.6, external tuning, without held-out workloads; 2 submissions"
    )
    assert len(lines) == 8 and lines[4].startswith("| bounds | no | 1 |")
    assert "| 0 (0.0 %) |" in lines[4]
