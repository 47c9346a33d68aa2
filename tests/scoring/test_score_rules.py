"""Rules of the versions: the same numbers as those by which trials are run, and those of logs."""

import json
from pathlib import Path

import pytest
import yaml

from scoring.errors import RulesError
from scoring.logs.read import read_logs
from scoring.rules.load import load_rules

TARGETS = Path(__file__).parents[2] / "conf" / "targets"


@pytest.mark.parametrize("version, file", [("0.5", "v05"), ("0.6", "v06"), ("1.0", "v10")])
@pytest.mark.parametrize("ruleset, key", [("external", "external"), ("self", "self_tuning")])
def test_they_agree_with_the_rules_of_trials(version, file, ruleset, key):
    told = yaml.safe_load((TARGETS / f"{file}.yaml").read_text())
    rules = load_rules(version, ruleset)
    asked = told["rulesets"][key]
    found = (rules.studies, rules.trials, rules.budget_factor)
    assert found == (asked["studies"], asked["trials"], asked["budget_factor"])
    assert rules.hardware == told["hardware"]["class"]
    assert list(rules.qualification) == told["qualification"]
    for workload in rules.workloads:
        row = told["workloads"][workload.name]
        assert workload.column == f"validation/{row['metric']}"
        assert workload.goal == row["direction"]
        assert (workload.target, workload.test_target) == (
            row["validation_target"],
            row["test_target"],
        )
        assert workload.base_budget == row["max_runtime"]
        assert workload.budget == row["max_runtime"] * asked["budget_factor"]


def test_which_workloads_are_scored():
    counts = {v: (load_rules(v).scored, len(load_rules(v).names)) for v in ("0.5", "0.6", "v1.0")}
    assert counts == {"0.5": (8, 14), "0.6": (8, 8), "v1.0": (9, 9)}
    rules = load_rules("0.5")
    held_out = rules.workloads[rules.scored :]
    assert [rules.names[place] for place in rules.base_of] == [w.base for w in held_out]
    assert all(w.name.startswith(w.base) for w in held_out)


@pytest.mark.parametrize("asked, message", [(("0.7",), "0.7.*0.5, 0.6, 1.0"), (("0.5", "x"), "x")])
def test_unknown_rules(asked, message):
    with pytest.raises(RulesError, match=message):
        load_rules(*asked)


META = {
    "workload.target_metric_name": "accuracy",
    "workload.validation_target_value": 0.9,
    "workload.test_target_value": None,
    "workload.max_allowed_runtime_sec": 30,
}


def put(root, workload, trial, **changes):
    folder = root / "sub" / "study_0" / workload / f"trial_{trial}"
    folder.mkdir(parents=True)
    (folder / "eval_measurements.csv").write_text("global_step,score\n1,1\n")
    told = {**META, **{f"workload.{name}": value for name, value in changes.items()}}
    (folder / "meta_data_0.json").write_text(json.dumps(told))


def test_development_workloads_state_their_own_targets(tmp_path):
    put(tmp_path, "mine", 1)
    put(tmp_path, "loss_of_mine", 1, target_metric_name="loss", test_target_value=0.2)
    rules = load_rules("development", logs=read_logs([tmp_path]))
    loss, mine = rules.workloads
    assert (mine.column, mine.goal, mine.target) == ("validation/accuracy", "max", 0.9)
    assert (mine.budget, mine.test_target) == (30, None)
    assert (loss.goal, loss.test_column, loss.test_target) == ("min", "test/loss", 0.2)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"validation_target_value": 0.8}, "different targets.*0.9 in 30 s.*0.8 in 30 s"),
        ({"target_metric_name": "beauty"}, "beauty.*expected a metric of accuracy"),
        ({"validation_target_value": "0.9"}, "'0.9'"),
        ({"validation_target_value": 10**400}, "two numbers"),
        ({"max_allowed_runtime_sec": True}, "budget True"),
    ],
)
def test_targets_that_cannot_be_used(tmp_path, changes, message):
    put(tmp_path, "mine", 1)
    put(tmp_path, "mine", 2, **changes)
    with pytest.raises(RulesError, match=message):
        load_rules("development", logs=read_logs([tmp_path]))


def test_trials_that_state_nothing(tmp_path):
    put(tmp_path, "mine", 1)
    (tmp_path / "sub/study_0/mine/trial_1/meta_data_0.json").unlink()
    with pytest.raises(RulesError, match="no meta_data_0.json of mine"):
        load_rules("development", logs=read_logs([tmp_path]))
