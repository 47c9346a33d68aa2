"""A generated variant is a workload like others: it composes, its model is built, it trains, and
its targets are those that nobody reaches until somebody sets them."""

import json
import math

import pytest
import torch

from algoperf_pt.config import compose_config
from algoperf_pt.errors import ConfigError
from algoperf_pt.heldout.__main__ import main
from algoperf_pt.heldout.axes import FRACTION, LABEL_NOISE
from algoperf_pt.heldout.check import Check, Verdict, judge, recipe_of
from algoperf_pt.heldout.files import names_of
from algoperf_pt.heldout.variant import load_base, make_variant
from algoperf_pt.instantiate import import_object
from algoperf_pt.result import read_result
from algoperf_pt.spec import make_spec
from tests.support.runs import QUIET, run_inside
from tests.support.workloads import NAMES, TIERS, version_of

TINY = [name for name in NAMES if TIERS[name] == "tiny"]


def every_value(axis):
    """Options, or both ends of the range."""
    return axis.options or axis.bounds


def built(node, **changed):
    """The workload's model with changed arguments; no memory is taken for its tensors."""
    kind = import_object(node["_target_"], "")
    with torch.device("meta"):
        return kind.build_model(kind.__new__(kind), **{**node["model"], **changed})


def shapes(model):
    return {name: tuple(p.shape) for name, p in model.named_parameters()}


def written(tmp_path, name, seed, count=2):
    variant = make_variant(load_base(name), seed, count)
    return variant, variant.write(tmp_path)


@pytest.mark.parametrize("name", sorted({*names_of("axes"), *TINY}))
def test_the_model_takes_every_value_of_every_axis(name):
    base = load_base(name)
    for axis in base.axes:
        for value in every_value(axis):
            if axis.sets not in (FRACTION, LABEL_NOISE):
                group, key = axis.sets.split(".")
                assert group == "model"
                built(base.node, **{key: value})


@pytest.mark.parametrize("name", ["wmt_tiny", "ogbg_tiny", "fastmri_tiny", "imagenet_vit_tiny"])
def test_width_and_depth_change_the_parameters(name):
    base = load_base(name)
    unchanged = shapes(built(base.node))
    for axis in base.axes:
        if axis.name in ("width", "depth"):
            for value in axis.options:
                assert shapes(built(base.node, **{axis.sets.split(".")[1]: value})) != unchanged


@pytest.mark.parametrize("name", sorted(names_of("axes")))
def test_a_file_composes_to_what_it_says(tmp_path, name):
    variant, path = written(tmp_path, name, 11, count=len(load_base(name).axes))
    words = [f"workload={variant.name}", f"targets={version_of(name)}"]
    config = compose_config(words, str(tmp_path), needs_data=False)
    node, line = config["workload"], config["targets"]["workloads"][variant.name]
    base = load_base(name)
    assert (node["name"], node["base"], node["tier"]) == (path.stem, name, base.node["tier"])
    for axis in base.axes:
        value = variant.values[axis.name]
        if axis.sets == FRACTION:
            whole = base.node["num_examples"]["train"]
            assert node["num_examples"]["train"] == round(value * whole)
        elif axis.sets == LABEL_NOISE:
            assert node["data"]["options"]["label_noise"]["share"] == value
        else:
            found = node["model"][axis.sets.split(".")[1]]
            assert found == value and type(found) is type(value)
    for key in ("metric", "direction", "max_runtime", "eval_period", "step_hint"):
        assert line[key] == base.target[key]
    assert not make_spec(config).has_target


def test_nobody_reaches_a_target_that_is_not_set(tmp_path):
    for name, best in (("wmt", 100.0), ("librispeech_conformer", 0.0)):
        variant, _ = written(tmp_path, name, 1)
        config = compose_config([f"workload={variant.name}"], str(tmp_path), needs_data=False)
        spec = make_spec(config)
        assert not spec.reached(best, spec.validation_target)
        assert math.isinf(spec.validation_target)


@pytest.mark.parametrize("target", ["-.inf", ".nan"])
def test_an_infinite_target_that_everybody_reaches_is_refused(target):
    word = f"targets.workloads.digits.validation_target={target.replace('.', '')}"
    with pytest.raises(ConfigError, match="impossible value"):
        compose_config(["workload=digits", word], needs_data=False)


def test_a_targets_file_gives_the_variant_its_own(tmp_path):
    variant, _ = written(tmp_path, "digits", 1)
    line = "{metric: accuracy, direction: max, validation_target: 0.9, test_target: 0.8, "
    line += "strict: true, max_runtime: 20, eval_period: 1, step_hint: 500}"
    (tmp_path / "targets").mkdir()
    text = f"# mine\ndefaults: [v06, _self_]\nworkloads:\n  {variant.name}: {line}\n"
    (tmp_path / "targets" / "mine.yaml").write_text(text)
    words = [f"workload={variant.name}", "targets=mine"]
    spec = make_spec(compose_config(words, str(tmp_path), needs_data=False))
    assert (spec.validation_target, spec.test_target, spec.budget) == (0.9, 0.8, 20)


def test_a_trial_runs_and_says_that_there_is_no_target(tmp_path, data, capfd):
    variant, _ = written(tmp_path, "digits", 5, count=3)
    words = [f"hydra.searchpath=[{tmp_path}]", f"workload={variant.name}"]
    words += ["max_steps=30", "eval_every_steps=15"]
    code, folder = run_inside(data, tmp_path / "runs", *words)
    result = read_result(folder)
    assert code == 11 and result["status"] == "step_limit"
    assert result["time_to_target"] == {"validation": None, "test": None}
    assert f"{variant.name} has no targets yet" in capfd.readouterr().out
    config = json.loads((folder / "config.json").read_text())
    assert config["workload"]["data"]["options"]["subset"]["of"] == 1297
    again, _ = run_inside(data, tmp_path / "runs", *words)  # the same: nothing has changed
    assert again == 11


def test_a_variant_of_a_variant_and_a_workload_without_axes_are_refused():
    with pytest.raises(ConfigError, match="itself made from wmt"):
        load_base("wmt_post_ln")
    with pytest.raises(ConfigError, match="did you mean|could not|Could not"):
        load_base("wmt_")


def test_axes_of_one_s_own(tmp_path):
    file = tmp_path / "axes.yaml"
    file.write_text("batch: {sets: eval_batch_size, choices: [125], why: a test}\n")
    variant = make_variant(load_base("digits", file), 0, 1)
    assert "  eval_batch_size: 125\n" in variant.text


# ---- does it train?


def test_the_command_prints_or_writes(tmp_path, capsys):
    assert main(["generate", "digits", "--seed", "3"]) == 0
    printed = capsys.readouterr().out
    assert main(["generate", "digits", "--seed", "3", "--out", str(tmp_path)]) == 0
    (path,) = (tmp_path / "workload").iterdir()
    assert path.read_text() == printed
    told = capsys.readouterr().out
    assert f"workload={path.stem}" in told and "no targets yet" in told
    assert printed.splitlines()[1].startswith("# digits with width=32, label_noise=0.31 (seed 3")


@pytest.mark.parametrize(
    "words",
    [["generate", "digits", "--seed", "3", "--check"], ["check", "digits", "--steps", "1"]],
)
def test_what_a_command_lacks_is_said(words, capsys):
    assert main(words) == 2
    assert "--" in capsys.readouterr().err


def test_unknown_words_are_refused(capsys):
    with pytest.raises(SystemExit):
        main(["draw", "--seed", "1", "data.dir=x"])
    assert "data.dir=x" in capsys.readouterr().err


@pytest.mark.parametrize(
    "losses, evaluated, trains, reason",
    [
        ([2.0] * 50 + [1.0] * 50, [0.5], True, "50.0%"),
        ([2.0] * 50 + [1.9] * 50, [0.5], False, "less than 10%"),
        ([2.0] * 100, [0.5], False, "less than"),
        ([1.0] * 50 + [2.0] * 50, [0.5], False, "less than"),
        ([2.0, math.nan, 1.0], [0.5], False, "nan at step 1"),
        ([2.0, 1.0, math.inf], [0.5], False, "inf at step 2"),
        ([2.0] * 50 + [1.0] * 50, [math.nan], False, "evaluation"),
        ([], [], False, "no training loss"),
    ],
)
def test_verdicts(losses, evaluated, trains, reason):
    verdict = judge(losses, evaluated, 0.1)
    assert verdict.trains is trains and reason in verdict.reason
    assert str(Verdict(False, "x")).startswith("DOES NOT TRAIN")


def test_recipes_are_those_that_set_targets():
    assert recipe_of("wmt_v1", "wmt") == "target/wmt"
    assert recipe_of("wmt_post_ln", "wmt") == "target/wmt_post_ln"
    assert recipe_of("wmt_tiny_v1", "wmt_tiny") == "nadamw"


def test_the_schedule_is_shortened_to_the_check(all_data):
    check = Check(steps=100, overrides=[f"data.dir={all_data.prepared('digits')}"])
    words = check.words("digits", all_data.root)
    assert "targets.workloads.digits.step_hint=100" in words and "submission=nadamw" in words
    own = Check(100, overrides=["submission=target/wmt"]).words("wmt", all_data.root)
    (warm_up,) = (word for word in own if "warmup_steps" in word)
    assert int(warm_up.split("=")[1]) in range(1, 20)
    assert [word for word in own if word.startswith("submission=")] == ["submission=target/wmt"]


@pytest.mark.slow
@pytest.mark.timeout(300)  # starts two interpreters with torch
def test_a_variant_that_trains_and_one_that_does_not(tmp_path, data, capsys):
    variant, _ = written(tmp_path, "digits", 2)
    words = ["check", variant.name, "--config-dir", str(tmp_path), "--steps", "200"]
    trial = [f"data.dir={data}", *QUIET]
    assert main([*words, *trial]) == 0
    assert f"{variant.name} trains: " in capsys.readouterr().out
    assert main([*words, *trial, "submission.hparams.learning_rate=1e30"]) == 1
    assert "DOES NOT TRAIN" in capsys.readouterr().out
