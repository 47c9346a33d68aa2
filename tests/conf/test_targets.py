"""The rules as data: every version has every workload, and its numbers are the published ones."""

import json
import math
from functools import cache
from pathlib import Path

import pytest
import yaml
from hydra import compose, initialize_config_module
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf

from algoperf_pt import schema

SOURCE = Path(__file__).parents[2].parent / "shared"  # where the numbers were collected, if there
VERSIONS = {"v05": "0.5", "v06": "0.6", "v10": "1.0"}
BASE = {"criteo1tb", "fastmri", "imagenet_resnet", "imagenet_vit", "librispeech_conformer"}
BASE |= {"librispeech_deepspeech", "ogbg", "wmt"}
VARIANTS = {
    "criteo1tb": ("test", "layernorm", "embed_init", "resnet"),
    "fastmri": ("model_size", "tanh", "layernorm"),
    "imagenet_resnet": ("silu", "gelu", "large_bn_init"),
    "imagenet_vit": ("glu", "post_ln", "map"),
    "librispeech_conformer": ("attention_temperature", "layernorm", "gelu"),
    "librispeech_deepspeech": ("tanh", "no_resnet", "norm_and_spec_aug"),
    "ogbg": ("gelu", "silu", "model_size"),
    "wmt": ("post_ln", "attention_temp", "glu_tanh"),
}
BASE_OF = {f"{base}_{v}": base for base, variants in VARIANTS.items() for v in variants}
OURS = Path(__file__).parents[2] / "conf" / "targets"
PROXIES = set(OmegaConf.load(OURS / "_proxy.yaml").workloads)  # their targets are not set
DEVELOPMENT = set(OmegaConf.load(OURS / "_development.yaml").workloads) | PROXIES
# the others stand in the reference
SMALL = {"mnist", "cifar"}


@cache
def targets(version):
    """conf/targets/<version>.yaml as a trial gets it: merged, and checked against the schema."""
    schema.register()
    GlobalHydra.instance().clear()
    with initialize_config_module("conf", version_base="1.3"):
        config = compose("train", ["workload=digits", f"targets={version}"])
    return OmegaConf.to_container(config.targets, throw_on_missing=True)


def workloads(version):
    return targets(version)["workloads"]


@pytest.mark.parametrize("version", VERSIONS)
def test_every_workload_is_there(version):
    lm = {"finewebedu_lm"} if version == "v10" else set()
    assert set(workloads(version)) >= BASE | set(BASE_OF) | SMALL | DEVELOPMENT | lm
    assert ("finewebedu_lm" in workloads(version)) is (version == "v10")
    assert targets(version)["version"] == VERSIONS[version]
    assert targets(version)["provenance"] and targets(version)["released"]


@pytest.mark.parametrize("version", VERSIONS)
def test_every_number_is_possible(version):
    for name, line in workloads(version).items():
        assert line["direction"] in ("max", "min"), name
        for key in ("max_runtime", "eval_period", "step_hint"):
            assert math.isfinite(line[key]) and line[key] > 0, (name, key)
        assert line["eval_period"] < line["max_runtime"], name
        if name in PROXIES:
            continue
        assert math.isfinite(line["validation_target"]) and line["validation_target"] > 0, name
        assert line["test_target"] is None or line["test_target"] > 0, name
        bounded = line["metric"] in ("accuracy", "ssim", "mean_average_precision", "wer")
        assert not bounded or max(line["validation_target"], line["test_target"]) < 1, name


@pytest.mark.parametrize("version", VERSIONS)
def test_a_variant_has_its_base_workloads_budget(version):
    shared = ("metric", "direction", "strict", "max_runtime", "eval_period", "step_hint")
    for variant, base in BASE_OF.items():
        mine, its = workloads(version)[variant], workloads(version)[base]
        assert [mine[k] for k in shared] == [its[k] for k in shared], variant
        if variant != "criteo1tb_test":  # the one that is only smaller
            assert mine["validation_target"] != its["validation_target"], variant


@pytest.mark.parametrize("name", sorted(BASE | set(BASE_OF) | SMALL))
def test_targets_are_the_same_in_every_version(name):
    keys = ("metric", "direction", "strict", "validation_target", "test_target")
    assert len({tuple(workloads(v)[name][k] for k in keys) for v in VERSIONS}) == 1


@pytest.mark.parametrize(
    "version, name, max_runtime, eval_period, step_hint",
    [
        ("v05", "wmt", 48151, 840, 133333),
        ("v06", "wmt", 43336, 840, 120000),
        ("v10", "wmt", 16114, 644, 120000),
        ("v05", "fastmri", 8859, 80, 36189),
        ("v06", "fastmri", 4430, 80, 18094),
        ("v10", "fastmri", 2745, 110, 18094),
        ("v05", "imagenet_vit", 77520, 420, 186666),
        ("v06", "imagenet_vit", 69768, 420, 167999),
        ("v10", "imagenet_vit", 64292, 2571, 167999),
        ("v05", "librispeech_deepspeech", 55506, 1440, 48000),
        ("v06", "librispeech_deepspeech", 44405, 1440, 38400),
        ("v05", "criteo1tb", 7703, 120, 10666),
        ("v10", "criteo1tb", 8915, 356, 10666),
        ("v06", "ogbg_gelu", 12011, 240, 52000),
        ("v10", "finewebedu_lm", 31967, 2571, 72000),
        ("v06", "mnist", 60, 10, 7813),
    ],
)
def test_budgets(version, name, max_runtime, eval_period, step_hint):
    line = workloads(version)[name]
    found = (line["max_runtime"], line["eval_period"], line["step_hint"])
    assert found == (max_runtime, eval_period, step_hint)


@pytest.mark.parametrize(
    "name, metric, direction, validation, test",
    [
        ("wmt", "bleu", "max", 30.8491, 30.7219),
        ("wmt_attention_temp", "bleu", "max", 29.3379, 29.4143),  # not the 229.4143 of a class
        ("criteo1tb", "loss", "min", 0.123735, 0.126041),
        ("fastmri_tanh", "ssim", "max", 0.71784, 0.734505),
        ("imagenet_resnet", "accuracy", "max", 0.77431, 0.656),
        ("librispeech_conformer", "wer", "min", 0.085884, 0.052981),
        ("ogbg", "mean_average_precision", "max", 0.28098, 0.268729),
        ("mnist", "accuracy", "max", 0.97, 0.97),
    ],
)
def test_targets(name, metric, direction, validation, test):
    line = workloads("v06")[name]
    assert (line["metric"], line["direction"], line["strict"]) == (metric, direction, True)
    assert (line["validation_target"], line["test_target"]) == (validation, test)


def test_the_language_model_has_no_test_target_and_may_equal_its_own():
    line = workloads("v10")["finewebedu_lm"]
    assert (line["metric"], line["direction"]) == ("ppl", "min")
    assert (line["validation_target"], line["test_target"]) == (22.2995, None)
    assert line["strict"] is False


@pytest.mark.parametrize(
    "version, studies, self_factor, late", [("v05", 5, 3.0, True), ("v06", 3, 1.5, False)]
)
def test_rules(version, studies, self_factor, late):
    rules = targets(version)["rulesets"]
    external = {"studies": studies, "trials": 5, "budget_factor": 1.0}
    self_tuning = {"studies": studies, "trials": 1, "budget_factor": self_factor}
    assert rules == {"external": external, "self_tuning": self_tuning}
    protocol = targets(version)["protocol"]
    assert protocol["late_evaluation"] is late and protocol["evaluate_after_first_step"]
    assert protocol["stop_on"] == ["validation", "test"] and protocol["setup_limit"] == 3600
    assert targets(version)["qualification"] == ["criteo1tb", "ogbg", "wmt"]


def test_rules_of_1_0_are_those_of_0_6_on_other_hardware():
    new, old = targets("v10"), targets("v06")
    for key in ("rulesets", "protocol", "qualification"):
        assert new[key] == old[key]
    assert (old["hardware"]["class"], old["hardware"]["devices"]) == ("8xV100-16GB", 8)
    assert (new["hardware"]["class"], new["hardware"]["devices"]) == ("4xA100-40GB", 4)


# ---- the files in which the numbers were collected; not part of the repository

collected = pytest.mark.skipif(
    not (SOURCE / "spec").is_dir(), reason="the collected numbers are not beside the repository"
)
DIRECTIONS = {"higher": "max", "lower": "min", True: "max", False: "min"}


def by_version(numbers, key, version):
    """numbers[key] for a version: a dict {v05: ...}, a twin `key_v05`, or one value for all."""
    value = numbers[key]
    if isinstance(value, dict):
        return value.get(version)
    return numbers[f"{key}_v05"] if version == "v05" and f"{key}_v05" in numbers else value


def every_collected_line():
    """(workload, its numbers, whether its budgets and periods are also those of version 1.0)."""
    for family in ("speech_graph", "text"):
        document = yaml.safe_load((SOURCE / f"spec/numbers_{family}.yaml").read_text())
        for members in document.values():
            for name, numbers in members.items() if isinstance(members, dict) else ():
                if isinstance(numbers, dict) and "validation_target" in numbers:
                    yield name, {**members.get("common", {}), **numbers}, family == "text"
    vision = yaml.safe_load((SOURCE / "spec/numbers_vision.yaml").read_text())
    for name, numbers in vision.items():
        renamed = {
            "target_metric": numbers["target_metric_name"],
            "target_direction": numbers["higher_is_better"],
        }
        yield name, {**numbers, **renamed}, name in SMALL


@collected
@pytest.mark.parametrize("version", VERSIONS)
def test_every_collected_number(version):
    seen = set()
    for name, numbers, covers_1_0 in every_collected_line():
        if name == "finewebedu_lm" and version != "v10":
            continue
        line = workloads(version)[name]
        seen.add(name)
        assert line["metric"] == numbers["target_metric"], name
        assert line["direction"] == DIRECTIONS[numbers["target_direction"]], name
        for key in ("validation_target", "test_target"):
            assert line[key] == numbers[key], (name, key)
        if version == "v10" and not covers_1_0:
            continue
        for key, collected_key in (
            ("max_runtime", "max_allowed_runtime_sec"),
            ("eval_period", "eval_period_time_sec"),
            ("step_hint", "step_hint"),
        ):
            assert line[key] == by_version(numbers, collected_key, version), (name, key)
    assert seen == set(workloads(version)) - DEVELOPMENT


@collected
@pytest.mark.parametrize("version, label", [("v05", "v0.5"), ("v06", "v0.6"), ("v10", "v0.6+lm")])
def test_scoring_uses_the_same_numbers(version, label):
    constants = json.loads((SOURCE / "golden/leaderboards/targets.json").read_text())
    benchmark = next(v for k, v in constants["versions"].items() if k.split(" ")[0] == label)
    for name, expected in constants["workloads"].items():
        line, base = workloads(version).get(name), expected["base"]
        if line is None:
            assert name == "finewebedu_lm" and version != "v10"
            continue
        assert (line["metric"], line["direction"]) == (expected["metric"], expected["goal"]), name
        for key in ("validation_target", "test_target"):
            assert line[key] == expected[key], (name, key)
        if version != "v05":
            assert line["step_hint"] == expected["step_hint_v0.6"], name
        if base in benchmark["base"]:
            periods = benchmark.get("eval_period_sec", {})
            assert line["max_runtime"] == benchmark["max_runtime_sec"][base], name
            assert line["eval_period"] == periods.get(base, expected["eval_period_sec"]), name
    rules = targets(version)["rulesets"]
    assert {r["studies"] for r in rules.values()} == {benchmark["studies"]}
    assert rules["external"]["trials"] == benchmark["trials_external"]
    factor = benchmark["self_tuning_runtime_factor"]
    assert rules["self_tuning"]["budget_factor"] == factor
