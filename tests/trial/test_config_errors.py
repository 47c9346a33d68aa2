"""A wrong configuration: one message with key, value, expectation and place, exit code 2,
nothing started."""

import subprocess
import sys

import pytest

from algoperf_pt.config import compose_config, config_hash, trial_folder
from algoperf_pt.driver import run_here
from algoperf_pt.errors import ConfigError
from algoperf_pt.heartbeat import Heartbeat
from tests.support.runs import ROOT, command, compose, environment


@pytest.mark.parametrize(
    "overrides, parts",
    [
        (["workload.modl=3"], ["workload.modl", "'model'", "command line: workload.modl=3"]),
        (["submission.hparams.learning_rte=1"], ["learning_rte", "'learning_rate'"]),
        (["+submission.nme=x"], ["nme", "'name'"]),
        (["workload=digts"], ["workload/digts", "'digits'", "command line: workload=digts"]),
        (["submission=nadam"], ["submission/nadam", "'nadamw'"]),
        (["study=abc"], ["study", "'abc'", "a value of type int"]),
        (["trainer.compile=7.5"], ["trainer.compile", "7.5"]),
        (["study=-1"], ["study", "-1", "at least 0"]),
        (["max_steps=0"], ["max_steps", "at least 1"]),
        (["submission.batch_size=0"], ["submission.batch_size", "at least 1"]),
        (["submission.dropout_rate=1.5"], ["submission.dropout_rate", "from 0 to below 1"]),
        (["submission.grad_clip=-1"], ["submission.grad_clip", "above 0"]),
        (["submission.schedule=cosine"], ["submission.schedule", "'cosine'", "by _target_"]),
        (["submission.average={beta:0.9}"], ["submission.average", "by _target_"]),
        (["trainer.accelerator=tpu"], ["trainer.accelerator", "auto, cpu, cuda"]),
        (["trainer.devices=-2"], ["trainer.devices", "a number of processes"]),
        (["trainer=cpu", "trainer.devices=all"], ["trainer.devices", "trainer.devices=2"]),
        (["ruleset=self_tuning"], ["submission.tuning", "self tuning"]),
        (["targets.workloads.digits.max_runtime=0"], ["digits.max_runtime", "above 0"]),
        (["targets.workloads.digits.direction=up"], ["digits.direction", "max, min"]),
        (["workload.name=mine"], ["workload.name", "'mine'", "targets"]),
        (["workload.num_examples.train=0"], ["workload.num_examples.train", "0"]),
        (
            ["data.dir=/nowhere"],
            ["data.dir", "/nowhere/digits/index.json", "algoperf-prepare digits"],
        ),
        (["submission=custom"], ["submission.optimizer._target_", "has no value"]),
        (["submission=target_nadamw"], ["no value", "submission=target/WORKLOAD, such as target/"]),
        (["submission=target_nadamw", "workload=wmt"], ["use submission=target/wmt, "]),
        (["keep_checkpoints=1"], ["keep_checkpoints", "at least 2"]),
        (["seed=-5"], ["seed", "-5"]),
    ],
)
def test_messages(data, tmp_path, overrides, parts):
    places = [f"data.dir={data}", f"experiment_dir={tmp_path / 'e'}"]
    with pytest.raises(ConfigError) as caught:
        compose_config(["workload=digits", *places, *overrides])
    for part in parts:
        assert part in str(caught.value)
    assert not (tmp_path / "e").exists()


def test_without_a_workload(data):
    with pytest.raises(ConfigError, match="You must specify 'workload'") as caught:
        compose_config([f"data.dir={data}"])
    assert "digits" in caught.value.expected


def test_an_error_in_a_file_names_the_file(data, tmp_path):
    (tmp_path / "submission").mkdir()
    (tmp_path / "submission" / "mine.yaml").write_text("name: mine\nlabel_smothing: 0.1\n")
    with pytest.raises(ConfigError) as caught:
        compose_config(["workload=digits", "submission=mine", f"data.dir={data}"], str(tmp_path))
    assert "label_smothing" in str(caught.value)
    assert "submission/mine.yaml" in caught.value.where
    assert "label_smoothing" in caught.value.fix


def test_own_configuration_folder(data, tmp_path):
    (tmp_path / "submission").mkdir()
    (tmp_path / "submission" / "mine.yaml").write_text(
        "name: mine\noptimizer: {_target_: torch.optim.SGD, lr: 0.1}\n"
    )
    config = compose_config(
        ["workload=digits", "submission=mine", f"data.dir={data}"], str(tmp_path)
    )
    assert config["submission"]["optimizer"] == {"_target_": "torch.optim.SGD", "lr": 0.1}


def test_as_a_command(data, tmp_path):
    line = command(data, tmp_path / "e", "submission.hparams.learning_rte=1")
    done = subprocess.run(line, env=environment(), capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith("ConfigError: submission.hparams.learning_rte")
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_no_torch_before_the_trial(data, tmp_path):
    code = "import sys, algoperf_pt.cli\nassert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], env=environment(), check=True)


def test_help_and_configuration_are_shown(data):
    base = [sys.executable, str(ROOT / "train.py")]
    shown = subprocess.run([*base, "--help"], env=environment(), capture_output=True, text=True)
    assert shown.returncode == 0
    for text in ("digits, ", ", mnist, ", "nadamw", "v05, v06, v10", "--config-dir"):
        assert text in shown.stdout
    line = [*base, "workload=digits", "--cfg", "job", "--resolve"]
    shown = subprocess.run(line, env=environment(), capture_output=True, text=True)
    assert shown.returncode == 0 and "learning_rate: 0.0013" in shown.stdout, shown.stderr


def test_the_hash_ignores_only_what_no_figure_depends_on(data, tmp_path):
    def hash_of(*overrides):
        return config_hash(compose_config(["workload=digits", f"data.dir={data}", *overrides]))

    same = ("data.workers=3", "display=plain", f"experiment_dir={tmp_path}", "logger=csv")
    assert hash_of() == hash_of(*same)
    for other in ("trial=2", "seed=5", "submission.batch_size=8", "targets=v05", "max_steps=9"):
        assert hash_of() != hash_of(other), other


def test_seeds_differ_between_trials_and_studies(data):
    seeds = {
        compose_config(["workload=digits", f"data.dir={data}", f"study={s}", f"trial={t}"])["seed"]
        for s in range(3)
        for t in range(1, 6)
    }
    assert len(seeds) == 15


def test_the_folder_is_the_reference_layout(data, tmp_path):
    config = compose_config(
        ["workload=digits", f"data.dir={data}", f"experiment_dir={tmp_path}", "study=2", "trial=3"]
    )
    assert trial_folder(config) == tmp_path / "nadamw" / "study_2" / "digits" / "trial_3"


def test_an_unwritable_folder(data, tmp_path):
    line = command(data, "/proc/nothing")
    done = subprocess.run(line, env=environment(), capture_output=True, text=True)
    assert done.returncode == 2 and "experiment_dir: cannot write" in done.stderr


def test_parts_can_be_given_on_the_command_line_where_the_yaml_has_none(data, tmp_path):
    average = "submission.average={_target_:optimizers.averaging.Polyak}"
    config = compose_config([f"data.dir={data}", "workload=digits", average])
    assert config["submission"]["average"] == {"_target_": "optimizers.averaging.Polyak"}


def test_folders_of_both_kinds_are_searched(tmp_path):
    """--config-dir and Hydra's own word for it, together."""
    for name in ("one", "two"):
        path = tmp_path / name / "submission" / f"{name}.yaml"
        path.parent.mkdir(parents=True)
        path.write_text(f"defaults: [nadamw, _self_]\nname: {name}\n")
    typed = f"hydra.searchpath=[{tmp_path / 'two'}]"
    for name in ("one", "two"):
        words = ["workload=digits", f"submission={name}", typed]
        found = compose_config(words, str(tmp_path / "one"), needs_data=False)
        assert found["submission"]["name"] == name


@pytest.mark.parametrize("word", ["study 3", "study", "study=[1", "=study"])
def test_a_word_that_is_no_override_is_shown_with_what_one_looks_like(data, word):
    with pytest.raises(ConfigError) as caught:
        compose_config(["workload=digits", f"data.dir={data}", word])
    assert repr(word) in str(caught.value) and "KEY=VALUE" in caught.value.expected


@pytest.mark.parametrize(
    "word",
    [
        "+workload.model.depth=3",
        "+workload.data.options.depth=3",
        "+submission.schedule.depth=3",
        "+submission.optimizer.depth=3",
        "submission.optimizer._target_=optimizers.depth",
    ],
)
def test_what_only_the_trial_can_find_leaves_no_folder_either(data, tmp_path, monkeypatch, word):
    """Classes and their arguments are known when torch is there: the folder is made before."""

    def without_a_fork(run, folder, rank, limits):
        assert folder.is_dir()
        return run(Heartbeat())

    monkeypatch.setattr("algoperf_pt.driver.supervise", without_a_fork)
    (tmp_path / "e").mkdir()
    place = tmp_path / "e" / "deeper"
    assert run_here(compose(data, place, word)) == 2
    assert list((tmp_path / "e").iterdir()) == []
    planned = trial_folder(compose(data, place))  # as a parent of many makes it before
    planned.mkdir(parents=True)
    assert run_here(compose(data, place, word)) == 2 and (planned / "result.json").exists()
    arguments = ("max_steps=1", "eval_every_steps=1")
    assert run_here(compose(data, place, *arguments)) == 11  # the mended command is not refused
