"""What do --html, --tables and --pictures write for a tree of logs?"""

import json
from argparse import ArgumentParser
from pathlib import Path

import numpy as np
import pytest

from scoring.asked import Asked
from scoring.certainty import cli as certainty
from scoring.certainty.group import Group
from scoring.certainty.resample import Plan
from scoring.cli import main
from scoring.errors import RulesError
from scoring.logs.read import read_logs
from scoring.pictures import cli as pictures
from scoring.report import cli as report
from scoring.report.from_group import board_of
from scoring.report.runs import runs_of
from scoring.rules.load import load_rules
from scoring.rules.model import Rules, Workload
from scoring.speedups import HOW, speedups
from scoring.times import TrialTimes

PUBLIC = Path(__file__).parents[2].parent / "shared" / "golden" / "leaderboards" / "v0.6"
RULES = Rules(
    "0.5",
    "external",
    (
        Workload("ogbg", "validation/mean_average_precision", "max", 0.28, 1000.0),
        Workload("wmt", "validation/bleu", "max", 30.0, 1000.0),
        Workload("wmt_glu_tanh", "validation/bleu", "max", 29.0, 1000.0, "wmt"),
    ),
    studies=2,
    trials=1,
)
CSV = "score,global_step,validation/mean_average_precision\n1,1,0.1\n60,9,{}\n"


@pytest.fixture
def tree(tmp_path):
    """Two submissions on ogbg, one trial with hyperparameters that are no JSON."""
    for name, value in (("quick", 0.3), ("slow<b>", 0.2)):
        for study in range(2):
            folder = tmp_path / "logs" / name / f"study_{study}" / "ogbg_jax" / "trial_1"
            folder.mkdir(parents=True)
            (folder / "eval_measurements.csv").write_text(CSV.format(value))
            (folder / "hparams.json").write_text(json.dumps({"lr": 0.1 * (study + 1)}))
    (folder / "hparams.json").write_text("{")
    return tmp_path


def options(tree, *asked):
    parser = ArgumentParser()
    for name in ("--time", "--out", "--baseline"):
        parser.add_argument(name)
    parser.set_defaults(best_trial="time", integral="exact")
    certainty.add_flags(parser)
    pictures.add_flags(parser)
    report.add_flags(parser)
    return parser.parse_args([*asked, "--out", str(tree / "out")])


def test_nothing_is_written_unless_it_is_asked_for(tree):
    logs = read_logs([tree / "logs"])
    asked = options(tree)
    assert report.run(Asked(logs, RULES, asked)) == pictures.run(Asked(logs, RULES, asked)) == []
    assert not (tree / "out").exists()


def test_page_and_tables_are_written_side_by_side(tree):
    asked = options(tree, "--html", "--tables", "markdown", "latex")
    written = report.run(Asked(read_logs([tree / "logs"]), RULES, asked))
    assert [path.name for path in written] == ["tables.md", "tables.tex", "index.html"]
    assert "| **quick**" in written[0].read_text()
    assert "slow&lt;b&gt;" in written[0].read_text()
    page = written[2].read_text()
    assert "4 trials, 8 evaluations." in page
    assert "1000 resamples of studies, seed 0" in page


def test_intervals_are_those_of_the_bootstrap_that_was_asked_for(tree):
    asked = options(tree, "--html", "--bootstrap", "20", "--seed", "3")
    (page,) = report.run(Asked(read_logs([tree / "logs"]), RULES, asked))
    assert "20 resamples of studies, seed 3" in page.read_text()


def test_a_page_names_no_folder_above_the_logs(tree):
    main([str(tree / "logs"), "--rules", "0.6", "--html", "--out", str(tree / "out")])
    text = (tree / "out" / "index.html").read_text()
    assert "hparams.json is no JSON" in text  # of the broken one
    assert str(tree) not in text and str(tree)[1:] not in text
    assert '["differs","quick","no evaluations on wmt"]' in text


def test_speed_is_told_against_a_baseline_where_there_is_one(tree):
    logs = read_logs([tree / "logs"])

    def board(*flags):
        return Asked(logs, RULES, options(tree, "--bootstrap", "9", *flags)).board

    assert board().speed is None
    told = board("--baseline", "quick")
    # of two workloads one is without logs in both: the square root of the miss over 60 s
    assert told.baseline == "quick" and told.speed.mean[1] == pytest.approx((1001 / 60) ** 0.5)
    assert told.speed.missing.tolist() == [1, 1] and told.speed.both.tolist() == [1, 0]
    assert told.speed.mean_both[0] == 1 and np.isnan(told.speed.mean_both[1])
    assert ("speed against quick", HOW) in told.facts
    (tree / "logs" / "quick").rename(tree / "logs" / "baseline")
    logs = read_logs([tree / "logs"])
    assert board().baseline == "baseline"
    assert board("--time", "steps").speed is None
    for flags in (("--time", "steps", "--baseline", "baseline"), ("--baseline", "nobody")):
        with pytest.raises(RulesError, match="--baseline"):
            board(*flags)


def test_pictures_of_some_kinds(tree):
    asked = options(tree, "--pictures", "profile", "hparams", "--picture-formats", "png")
    written = pictures.run(Asked(read_logs([tree / "logs"]), RULES, asked))
    assert [path.name for path in written] == ["profile.png", "hparams_quick.png"]
    assert {path.parent for path in written} == {tree / "out" / "pictures"}


def test_without_a_kind_all_are_drawn(tree):
    written = pictures.run(Asked(read_logs([tree / "logs"]), RULES, options(tree, "--pictures")))
    assert {path.stem for path in written} >= {"profile", "heat_map", "tau", "curves_ogbg"}
    assert {path.suffix for path in written} == {".png", ".svg"}


def test_on_a_clock_of_steps_the_board_counts_steps(tree):
    logs = read_logs([tree / "logs"])
    board = board_of(Group.of(logs, RULES, "steps"), "steps")
    assert board.times[0, 0] == 9
    assert runs_of(logs, board)[0][0].points.x.tolist() == [1, 9]


def test_every_reason_has_its_word_and_a_base_names_its_variant():
    times = np.array(
        [
            [10.0, 10.0, 10.0],
            [41.0, np.nan, 10.0],
            [10.0, 10.0, np.inf],
        ]
    )
    seconds = times[..., None, None]
    trials = TrialTimes(
        submissions=("a", "b", "c"),
        workloads=RULES.names,
        studies=("study_0",),
        seconds=seconds,
        rows=np.zeros(seconds.shape, dtype=np.int64),
        numbers=np.ones(seconds.shape, dtype=np.int64),
    )
    board = board_of(Group(trials, RULES), plan=Plan(50))
    assert board.reasons == (
        ("", "", ""),
        ("over_4x", "missing", "base_not_finite"),
        ("", "held_out_failed:wmt_glu_tanh", "target_not_reached"),
    )
    assert board.scores.tolist() == [1.0, 0.0, 0.5]
    assert (board.low <= board.scores).all() and (board.scores <= board.high).all()


def test_equal_times_of_a_toys_clock_are_as_fast():
    found = speedups(np.array([[0.0, 10.0], [0.0, 5.0]]), np.array([20.0, 20.0]), 0)
    assert found.mean == pytest.approx([1, 0.5**0.5]) and found.ratios[1].tolist() == [1, 0.5]


@pytest.mark.skipif(not PUBLIC.exists(), reason=f"the public logs are not in {PUBLIC}")
def test_the_published_board_and_its_reasons():
    """AlgoPerf 0.6, external tuning, against the reference's scoring of the public logs."""
    expected = json.loads((PUBLIC / "expected_external.json").read_text())
    logs = read_logs([PUBLIC / "logs" / "external_tuning"])
    board = board_of(Group.of(logs, load_rules("0.6"), "seconds", "reference", "grid100"))
    for s, name in enumerate(board.submissions):
        assert board.scores[s] == pytest.approx(expected["scores"][name], abs=1e-12)
        assert board.ranks[s] == expected["rank"][name]
        why = {w.name: r for w, r in zip(board.workloads, board.reasons[s]) if r}
        assert why == expected["excluded_because"][name]
