"""What a command line under -m asks for: a pure function of its words and the rules."""

import pytest

from algoperf_pt.errors import ConfigError
from tests.support.sweeps import plan_of


def places(trials):
    return [(p.study, p.workload, p.submission, p.trial) for p in trials]


def test_studies_and_trials_of_the_rule_set_over_two_workloads():
    trials = plan_of("workload=wmt,ogbg", "submission=nadamw", "ruleset=external")
    assert len(trials) == 2 * 3 * 5
    assert places(trials)[:2] == [(0, "wmt", "nadamw", 1), (0, "wmt", "nadamw", 2)]
    assert {p[0] for p in places(trials)[:10]} == {0}  # a study is complete before the next
    assert len({p.folder for p in trials}) == 30
    assert [p.point["beta2"] for p in trials[:5]] == [p.point["beta2"] for p in trials[5:10]]


def test_a_trial_of_the_plan_is_the_trial_that_runs_alone(data, tmp_path):
    from algoperf_pt.config import compose_config, config_hash

    places = (f"data.dir={data}", f"experiment_dir={tmp_path}", "workload=digits")
    planned = plan_of(*places, "study=1", "trial=4", needs_data=True)[0]
    alone = compose_config([*places, "study=1", "trial=4"])
    assert config_hash(planned.config()) == config_hash(alone)
    assert alone["submission"]["hparams"]["beta2"] == pytest.approx(0.6291854735396584)


def test_self_tuning_and_older_rules():
    assert len(plan_of("workload=ogbg", "submission=nadamw_self", "ruleset=self_tuning")) == 3
    trials = plan_of("workload=ogbg", "targets=v05", "submission=nadamw")
    assert len(trials) == 25
    assert trials[0].spec.budget == 18477


def test_several_submissions_and_a_part_of_the_plan():
    trials = plan_of("workload=digits", "submission=nadamw,adamw", "study=0,2", "trial=2")
    expected = [(s, "digits", name, 2) for s in (0, 2) for name in ("nadamw", "adamw")]
    assert places(trials) == expected


def test_typed_hyperparameters_hold_for_all_trials():
    trials = plan_of("workload=digits", "submission.hparams.learning_rate=0.5", "study=0")
    rates = [p.config()["submission"]["hparams"]["learning_rate"] for p in trials]
    assert rates == [0.5] * 5
    assert "learning_rate" not in trials[0].point and "beta2" in trials[0].point


def test_an_ordinary_sweep_is_numbered_and_varies_nothing_else():
    trials = plan_of("workload=digits", "submission.hparams.learning_rate=0.1,0.2", "max_steps=3,4")
    assert [(p.study, p.trial) for p in trials] == [(0, 1), (0, 2), (0, 3), (0, 4)]
    configs = [p.config() for p in trials]
    assert [c["submission"]["hparams"]["learning_rate"] for c in configs] == [0.1, 0.1, 0.2, 0.2]
    assert [c["max_steps"] for c in configs] == [3, 4, 3, 4]
    assert len({c["submission"]["hparams"]["beta2"] for c in configs}) == 1


@pytest.mark.parametrize(
    "words, parts",
    [
        (["max_steps=3,4", "trial=1"], ["have the folder", "max_steps=3 max_steps=4"]),
        (["trial=9"], ["trial=9", "5 points"]),
        (["study=7"], ["study=7"]),
        (["trial=x"], ["trial=x: no whole number"]),
        (["max_steps=interval(1,3)"], ["without steps"]),
        (["submission=nadamw,nadamw_self"], ["self tuning", "another submission"]),
        (["submission=nadamw,nadam"], ["submission/nadam", "'nadamw'"]),
        (["workload.modl=3"], ["workload.modl", "'model'"]),
        (["submission.hparams.learning_rate=-1", "trainer.threads=0"], ["trainer.threads", "0"]),
        (["experiment_dir=x_${trial}"], ["the folder of", "without study, trial"]),
    ],
)
def test_messages(words, parts):
    with pytest.raises(ConfigError) as caught:
        for planned in plan_of("workload=digits", *words):
            planned.config()
    for part in parts:
        assert part in str(caught.value)


def test_data_that_are_missing_are_missed_before_anything_is_started(data):
    with pytest.raises(ConfigError, match="no prepared data for workload 'cifar'"):
        plan_of("workload=digits,cifar", f"data.dir={data}", needs_data=True)
