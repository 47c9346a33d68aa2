"""Public and made-up logs against the results of the reference's scoring code."""

import csv
from dataclasses import replace

import numpy as np
import pytest

from scoring.against.published import published
from scoring.certainty.group import Group
from scoring.logs.read import read_logs
from scoring.profile import profile, ratios
from scoring.report.from_group import board_of
from scoring.speedups import speedups
from scoring.summaries import summary, workload_step_times
from tests.support.leaderboards import leaderboard


class Scored:
    """A leaderboard, read, in the reference's mode."""

    def __init__(self, board):
        self.board, self.expected = board, board.expected
        self.logs, self.rules = read_logs([board.logs]), board.rules
        self.group = self.scored()

    def scored(self, clock="seconds", best="reference", integral="grid100", rules=None):
        return Group.of(self.logs, rules or self.rules, clock, best, integral)


@pytest.fixture(scope="module", params=["made_up", "0.5", "0.6", "0.6 self"])
def scored(request, tmp_path_factory):
    return Scored(leaderboard(request.param, tmp_path_factory.mktemp("logs")))


def number(value):
    return np.nan if value is None else float(value)


def alike(found, told):
    """Equal but for a digit of the 16th decimal, to which some expected values were rounded."""
    return np.allclose(found, told, rtol=4e-16, atol=1e-15, equal_nan=True)


def same(group, values, expected, **close):
    assert dict(zip(group.names, values)) == pytest.approx(expected, **{"abs": 1e-12, **close})


def test_times_to_target(scored):
    expected = scored.expected["time_to_target"]
    assert set(scored.group.names) == set(expected)
    for name, row in zip(scored.group.names, scored.group.times):
        told = [number(expected[name].get(w)) for w in scored.rules.names]
        assert alike(row, told), name


def test_scores_and_published_ones(scored):
    same(scored.group, scored.group.scores, scored.expected["scores"])
    same(scored.group, scored.group.ranks, scored.expected["rank"])
    if scored.expected["published"]:
        same(scored.group, np.round(scored.group.scores, 4), scored.expected["published"])


def test_which_times_count_and_why(scored):
    found = board_of(scored.group)
    for name, times, row in zip(found.submissions, scored.group.counted, found.reasons):
        told = scored.expected["excluded_because"][name]
        assert {w: why for w, why in zip(scored.rules.names, row) if why} == told
        kept = scored.expected["filtered_base_times"][name]
        assert alike(times, [number(kept[w]) for w in scored.rules.names[: len(times)]])


def test_ratios_and_profiles(scored):
    found = ratios(scored.group.counted)
    taus = np.array(scored.expected["profile"]["tau"])
    for name, row, rho in zip(scored.group.names, found, profile(found, taus)):
        told = scored.expected["performance_ratios"][name]
        names = scored.rules.names[: len(row)]
        wanted = [np.inf if told[w] is None else float(told[w]) for w in names]
        assert row == pytest.approx(wanted, abs=1e-12)
        assert rho == pytest.approx(scored.expected["profile"]["rho"][name], abs=1e-12)


def test_other_ways_to_score(scored):
    told = scored.expected["variants"]
    for key, group in (
        ("scores_best_trial_by_time", scored.scored(best="time")),
        ("scores_exact_integral", scored.scored(integral="exact")),
        ("scores_by_steps", scored.scored(clock="steps")),
        ("scores_no_held_out", scored.scored(rules=scored.rules.without_held_out())),
    ):
        if key in told:
            same(group, group.scores, told[key])
    for tau, wanted in told["scores_by_tau_max"].items():
        group = scored.scored(rules=replace(scored.rules, tau_max=float(tau)))
        same(group, group.scores, wanted)


def test_leaving_out_and_first_studies(scored):
    told = scored.expected["variants"]
    for name, wanted in told["leave_one_workload_out"].items():
        group = scored.group.with_rules(scored.rules.without(name))
        same(group, group.scores, wanted)
    for name, wanted in told.get("leave_one_submission_out", {}).items():
        group = scored.group.without(name)
        same(group, group.scores, wanted)
    for k, wanted in told["scores_first_k_studies"].items():
        found = scored.group.of_studies(scored.group.studies[..., : int(k)])
        same(scored.group, found, wanted)


def test_speedups(scored):
    bases = [name for name in scored.expected if name.startswith("speedup_vs_")]
    for base in bases:
        group = scored.group
        at = group.names.index(base.removeprefix("speedup_vs_"))
        told = scored.expected[base][f"budgets_v{scored.rules.version}_factor_1"]
        budgets = np.array([w.budget for w in scored.rules.workloads[: scored.rules.scored]])
        found = speedups(group.times[:, : scored.rules.scored], budgets, at)
        for s, name in enumerate(group.names):
            if told[name]["geomean_time_ratio"] is not None:
                assert found.mean[s] == pytest.approx(told[name]["geomean_time_ratio"], abs=1e-12)
                assert found.faster_by[s] == pytest.approx(told[name]["faster_by"], abs=1e-12)
            else:
                assert found.missing[s] > 0


def test_step_times(scored):
    told = scored.expected["step_time_median"]
    for submission, workload, seconds in workload_step_times(scored.logs).rows:
        if workload in told[submission]:
            assert seconds == pytest.approx(told[submission][workload], rel=1e-12)


def test_trials(scored):
    rows = list(csv.DictReader(scored.board.trials)) or _flat(scored.expected["trials"])
    told = {(r["submission"], r["workload"], r["study"], r["trial"]): r for r in rows}
    named = {w.name: w for w in scored.rules.workloads}
    kept = [trial for trial in scored.logs.trials if trial.workload in named]
    for trial in kept:
        folder = f"{trial.workload}_{trial.framework}"
        row = told[trial.submission, folder, trial.study, f"trial_{trial.number}"]
        found = summary(trial, named[trial.workload])
        for name, value in (
            ("n_evals", found.evaluations),
            ("hit_index", found.hit if found.hit >= 0 else np.nan),
            ("time_to_target", found.time),
            ("step_to_target", found.step),
            ("best_index", found.best),
            ("best_metric", found.best_value),
            ("time_to_best", found.best_time),
            ("last_time", found.last_time),
            ("last_step", found.last_step),
        ):
            wanted = np.nan if row[name] in ("", None) else float(row[name])
            assert alike(value, wanted), (trial.folder, name)
        assert (found.nan_evaluations > 0) == (str(row["any_nan_metric"]) == "True")
    counts = [sum(t.submission == name for t in scored.logs.trials) for name in scored.group.names]
    same(scored.group, counts, scored.expected["n_trials_with_evals"])


def _flat(nested):
    return [
        {"submission": s, "workload": w, "study": k, "trial": t, **row}
        for s, workloads in nested.items()
        for w, studies in workloads.items()
        for k, trials in studies.items()
        for t, row in trials.items()
    ]


def test_the_tie_that_decides_a_published_score(scored):
    """Trials of a study that hit at the same row: the faster one, in any order of the files."""
    logs = replace(scored.logs, trials=scored.logs.trials[::-1])
    group = Group.of(logs, scored.rules, "seconds", "reference", "grid100")
    same(group, group.scores, scored.expected["scores"])


def test_shipped_times_are_those_of_the_logs(scored):
    if scored.board.expected["title"] == "synthetic logs":
        pytest.skip("made up, so not published")
    rules = scored.rules
    shipped = published(rules.version, rules.ruleset, rules.names)
    for clock, times in (("seconds", shipped.seconds), ("steps", shipped.steps)):
        wanted, found = scored.scored(clock), Group(times, rules, "reference", "grid100")
        assert found.names == wanted.names
        assert np.array_equal(found.times, wanted.times, equal_nan=True)
    assert shipped.hardware == rules.hardware and "mlcommons" in shipped.source
