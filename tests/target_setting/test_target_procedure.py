"""The paper's procedure for targets, its statistics alone and as a whole on a small workload."""

from pathlib import Path

import pytest

from algoperf_pt.config import compose_config
from algoperf_pt.errors import ConfigError
from algoperf_pt.eval_rows import best
from algoperf_pt.target_setting.__main__ import main
from algoperf_pt.target_setting.runs import Run
from algoperf_pt.target_setting.statistic import best_run, targets


def run(validation, test=None, seconds=30.0, trial=1):
    return Run("target_search_nadamw", trial, 0, {}, validation, test, seconds, Path())


def test_the_validation_target_is_the_median_and_the_test_target_the_worst_that_reached_it():
    """Three of five reach the median; the worst test result among them counts, not 0.1."""
    runs = [run(0.9, 0.7), run(0.8, 0.6), run(0.85, 0.65), run(0.5, 0.1), run(0.7, 0.2)]
    found = targets(runs, "max")
    assert (found.validation, found.test, found.reached) == (0.8, 0.6, 3)
    assert found.max_runtime == pytest.approx(40.0)


def test_smaller_may_be_better():
    found = targets([run(2.0, 5.0), run(1.0, 9.0), run(3.0, 20.0), run(4.0, 30.0)], "min")
    assert (found.validation, found.test, found.reached) == (2.5, 9.0, 2)


def test_no_test_split_no_test_target():
    assert targets([run(1.0)], "min").test is None


def test_the_best_run_and_of_equal_ones_the_quickest():
    runs = [run(0.8, trial=1), run(0.9, seconds=50.0, trial=2), run(0.9, trial=3)]
    assert best_run(runs, "max").trial == 3
    assert best_run(runs, "min").trial == 1
    with pytest.raises(ConfigError, match="no run came to the end"):
        best_run([], "max")


def test_cells_that_are_no_numbers_do_not_count():
    assert best(["", "nan", "0.5", None, "inf", "0.7"], "max") == 0.7
    assert best(["nan", ""], "min") is None


@pytest.mark.parametrize("recipe", ["nadamw", "adamw", "heavy_ball", "nesterov"])
def test_the_ranges_hold_the_published_points(recipe):
    """Those of conf/submission/target that use the recipe."""
    words = ["workload=digits", f"submission=target_search/{recipe}"]
    space = compose_config(words, needs_data=False)["submission"]["space"]
    folder = Path(__file__).parents[2] / "conf" / "submission" / "target"
    points = [p for p in folder.glob("*.yaml") if f"target_{recipe}@" in p.read_text()]
    for path in points:
        found = ["workload=digits", f"submission=target/{path.stem}"]
        point = compose_config(found, needs_data=False)["submission"]["hparams"]
        for name, value in {**point, **_one_minus(point)}.items():
            if name in space and "min" in space[name]:
                assert space[name]["min"] <= value <= space[name]["max"], (path.stem, name)
            elif name in space:
                assert value in space[name]["feasible_points"], (path.stem, name)
    assert points or recipe == "adamw"


def _one_minus(point):
    return {f"one_minus_{name}": 1 - point[name] for name in ("beta1", "beta2") if name in point}


SMALL = ["--recipes", "nadamw", "heavy_ball", "--trials", "1", "--reruns", "2", "trainer=cpu"]
SMALL += ["trainer.threads=1", "display=none", "targets.workloads.digits.step_hint=80"]


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_the_whole_procedure_stops_and_goes_on(data, tmp_path, capsys):
    file = tmp_path / "conf" / "targets" / "ours.yaml"
    file.parent.mkdir(parents=True)
    words = ["digits", *SMALL, f"data.dir={data}", "--out", str(tmp_path / "runs")]
    main([*words, "--file", str(file)])
    first = file.read_text()
    said = capsys.readouterr().out
    assert "best of 2 runs is" in said and "of 2 repetitions" in said
    trials = list((tmp_path / "runs").glob("*/*/study_0/digits/trial_*/result.json"))
    assert len(trials) == 4
    before = {path: path.stat().st_mtime_ns for path in trials}
    main([*words, "--file", str(file)])
    assert file.read_text() == first
    assert before == {path: path.stat().st_mtime_ns for path in trials}

    chosen = ["workload=digits", "targets=ours"]
    config = compose_config(chosen, str(file.parents[1]), needs_data=False)
    line = config["targets"]["workloads"]["digits"]
    assert config["targets"]["version"] == "ours" and line["metric"] == "accuracy"
    assert f"validation target {line['validation_target']:.6g}," in said
    assert len(config["targets"]["provenance"]["digits"]["seeds"]) == 2


def test_mistakes_have_a_message(capsys, tmp_path):
    end = ["--out", str(tmp_path), "--file", str(tmp_path / "x.yaml")]
    for words, message in {
        ("digits", "--recipes", "adagrad"): "'adagrad' is no recipe",
        ("digitz",): "digitz",
        ("digits", "targetz=v05"): "targetz",
    }.items():
        with pytest.raises(SystemExit) as stop:
            main([*words, *end])
        assert stop.value.code == 2 and message in capsys.readouterr().err
    assert not (tmp_path / "x.yaml").exists()
