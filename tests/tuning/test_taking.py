"""Does a trial run with the point that the rules give it, and is what the command line says instead
recorded?
"""

import json
import subprocess
import sys

import pytest

from algoperf_pt.config import compose_config, config_hash
from algoperf_pt.errors import ConfigError
from algoperf_pt.spec import make_spec
from algoperf_pt.tuning.points import points
from algoperf_pt.tuning.space import parse_space
from algoperf_pt.tuning.taking import deal, typed_hparams
from tests.support.runs import ROOT, run_command, run_inside

SPACE = {"learning_rate": {"min": 1e-4, "max": 1e-2, "scaling": "log"}}  # of submission=custom
CUSTOM = ("submission=custom", "submission.optimizer._target_=torch.optim.Adam")


def compose(*words):
    config = compose_config(["workload=mnist", *words], needs_data=False)
    return {**config["submission"], "seed": config["seed"]}


def rate(*words):
    """The point's value, which the optimizer must have got."""
    submission = compose(*CUSTOM, *words)
    assert submission["optimizer"]["lr"] == submission["hparams"]["learning_rate"]
    return submission["hparams"]["learning_rate"]


def drawn(count, seed=0):
    return [p["learning_rate"] for p in points(parse_space(SPACE, "here"), count, seed)]


def test_the_place_gives_the_point_of_a_space():
    assert rate() == drawn(15)[0]
    assert rate("study=1", "trial=2") == drawn(15)[6]
    assert rate("study=2", "trial=5") == drawn(15)[14]
    assert rate("targets=v05", "study=4", "trial=5") == drawn(25)[24]  # five studies of five


def test_the_base_seed_orders_points_and_seeds_trials():
    assert rate("base_seed=7", "study=1") == drawn(15, 7)[5]
    assert compose("base_seed=7")["seed"] != compose()["seed"] == compose("base_seed=0")["seed"]
    for wrong in ("-1", str(2**32)):
        with pytest.raises(ConfigError, match="seed"):
            compose(*CUSTOM, f"base_seed={wrong}")


def test_the_place_gives_the_point_of_a_list():
    for study in (0, 2):
        found = compose("submission=nadamw", f"study={study}", "trial=4")
        assert found["hparams"] == found["points"][3]
        assert found["point"] == {"from": "points", "typed": []}
    with pytest.raises(ConfigError, match="trial=4: the search space lists 3 points"):
        compose("submission=dev_mnist_adam_points", "trial=4")


@pytest.mark.parametrize("word", ("study=3", "trial=6", "trial=0"))
def test_a_place_beyond_the_rules(word):
    with pytest.raises(ConfigError) as caught:
        compose(*CUSTOM, word)
    assert word in caught.value.problem
    key, plural = ("study", "studies") if "study" in word else ("trial", "trials")
    assert f"targets.rulesets.external.{plural}=" in caught.value.fix or word == "trial=0"
    assert caught.value.expected.startswith(key)


def test_more_trials_by_the_rules_as_data():
    assert rate("targets.rulesets.external.trials=6", "trial=6") == drawn(18)[5]


def test_typed_values_hold_instead_and_are_named():
    found = compose("submission=adamw", "submission.hparams.beta2=0.5", "study=1")
    other = compose("submission=adamw", "study=1")
    assert found["hparams"] == other["hparams"] | {"beta2": 0.5}
    assert found["point"] == {"from": "space", "typed": ["beta2"]}
    whole = compose(*CUSTOM, "submission.hparams={learning_rate: 0.5}")
    assert whole["hparams"] == {"learning_rate": 0.5}
    assert whole["point"]["typed"] == ["learning_rate"]
    assert typed_hparams(["a=1", "+submission.hparams.x=1", "~submission.hparams.y"]) == {"x", "y"}


def test_without_a_space_the_yaml_holds():
    found = compose(*CUSTOM, "submission.space=null", "trial=9")
    assert found["hparams"] == {"learning_rate": 1e-3}
    assert found["point"]["from"] == "hparams"
    target = compose("submission=target/ogbg")
    assert target["hparams"]["warmup_steps"] == 3000


@pytest.mark.parametrize("name", ("space.json", "space.yaml"))
def test_a_file_of_the_users_comes_before_points(tmp_path, name):
    space = {"learning_rate": {"min": 0.1, "max": 0.2, "scaling": "linear"}}
    (tmp_path / name).write_text(json.dumps(space))
    found = compose("submission=nadamw", f"submission.space={tmp_path / name}")
    expected = points(parse_space(space, "here"), 15, 0)[0]["learning_rate"]
    assert found["optimizer"]["lr"] == found["hparams"]["learning_rate"] == expected
    assert found["space"] == space and found["points"] is None


def test_the_space_of_a_submission_is_checked():
    with pytest.raises(ConfigError) as caught:
        compose(*CUSTOM, "submission.space.learning_rate.min=1")
    assert "learning_rate: min 1 is larger than max 0.01" in caught.value.problem
    assert caught.value.where == "submission.space"


def test_a_hyperparameter_of_the_space_that_no_part_reads():
    with pytest.raises(ConfigError) as caught:
        compose(*CUSTOM, "+submission.space.momentum={feasible_points: [0.9]}")
    assert caught.value.problem == "nothing reads the hyperparameter 'momentum'"
    assert caught.value.where == "submission.space"


SELF = ("submission=nadamw_self", "ruleset=self_tuning")


@pytest.mark.parametrize(
    "word",
    (
        "+submission.hparams.x=1",
        "submission.space={x: {feasible_points: [1]}}",
        "submission.points=[{x: 1}]",
    ),
)
def test_self_tuning_has_no_hyperparameters(word):
    with pytest.raises(ConfigError, match="tunes itself") as caught:
        compose(*SELF, word)
    assert caught.value.where == word.lstrip("+").split("=")[0].removesuffix(".x")


@pytest.mark.parametrize("version, factor", (("v05", 3.0), ("v06", 1.5), ("v10", 1.5)))
def test_self_tuning_has_more_time(version, factor):
    words = ["workload=wmt", *SELF, f"targets={version}"]
    spec = make_spec(compose_config(words, needs_data=False))
    assert spec.budget == factor * spec.max_runtime
    external = make_spec(compose_config(["workload=wmt", f"targets={version}"], needs_data=False))
    assert external.budget == external.max_runtime == spec.max_runtime


def test_the_deal_agrees_with_what_each_trial_takes():
    for words, seed in (((*CUSTOM, "base_seed=3"), 3), (("submission=nadamw",), 0)):
        dealt = deal(compose(*words), studies=3, trials=5, seed=seed)
        assert len(dealt) == 15
        for study, trial in ((0, 1), (1, 3), (2, 5)):
            taken = compose(*words, f"study={study}", f"trial={trial}")["hparams"]
            assert taken == dealt[study, trial]
    assert deal(compose(*SELF), 3, 1, 0) == {(0, 1): {}, (1, 1): {}, (2, 1): {}}


def test_what_was_used_is_in_the_folder(data, tmp_path):
    typed = "submission.hparams.epsilon=1e-6"
    words = ("submission=dev_mnist_adam", typed, "study=2", "trial=3", "max_steps=2")
    code, folder = run_inside(data, tmp_path, "eval_every_steps=2", *words)
    assert code == 11 and folder.parts[-3:] == ("study_2", "digits", "trial_3")
    used = json.loads((folder / "hparams.json").read_text())
    assert used == compose(*words)["hparams"] and used["epsilon"] == 1e-6
    flags = json.loads((folder / "flags_0.json").read_text())
    assert flags["submission.point.typed"] == ["epsilon"]
    assert flags["submission.point.from"] == "space"


def test_as_a_command(data, tmp_path):
    done = run_command(data, tmp_path / "e", "submission=adamw", "+submission.hparams.rho=0.1")
    assert done.returncode == 2 and "nothing reads the hyperparameter 'rho'" in done.stderr
    assert not (tmp_path / "e").exists()


def test_two_trials_are_two_configurations():
    words = ["workload=mnist", *CUSTOM, "seed=1"]
    hashes = {config_hash(compose_config([*words, f"trial={n}"], needs_data=False)) for n in (1, 2)}
    assert len(hashes) == 2


def test_no_numpy_before_it_is_needed():
    line = "import sys, algoperf_pt.tuning.taking; print({'torch', 'numpy'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", line], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.strip() == "set()", done.stderr


def test_the_point_is_told(data, tmp_path, capsys):
    words = ("display=plain", "max_steps=1", "submission.hparams.epsilon=1e-6", "trial=2")
    run_inside(data, tmp_path, "submission=dev_mnist_adam", *words)
    told = capsys.readouterr().out.splitlines()
    assert told[0].startswith("hyperparameters of submission.space, study 0, trial 2: learning_")
    assert told[1] == "  given on the command line instead: epsilon"
    run_inside(data, tmp_path, "submission=dev_mnist_adam", "submission.space=null", *words[:2])
    assert "hyperparameters of" not in capsys.readouterr().out
