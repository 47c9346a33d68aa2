"""Which values are impossible although their type is right?  One error each, before anything is
started.
"""

import math
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from algoperf_pt.errors import ConfigError

Config = dict[str, Any]


def check(config: Config, needs_data: bool = True) -> None:
    """Raise a ConfigError for the first impossible value, unknown combination, or missing data."""
    for key, (test, expected) in _VALUES.items():
        value = _get(config, key)
        if value is not None and not test(value):
            raise _impossible(key, value, expected, _where(key))
    _check_rules(config)
    _check_devices(config)
    if needs_data:
        _check_data(config)


def _impossible(key: str, value: Any, expected: str, where: str) -> ConfigError:
    problem, fix = f"{key}: impossible value {value!r}", f"give another value: {key}=..."
    return ConfigError(problem, expected=expected, where=where, fix=fix)


def _whole(low: int) -> tuple[Callable[[Any], bool], str]:
    return (lambda v: isinstance(v, int) and v >= low), f"a whole number of at least {low}"


def _positive() -> tuple[Callable[[Any], bool], str]:
    return (lambda v: math.isfinite(v) and v > 0), "a finite number above 0"


def _rate() -> tuple[Callable[[Any], bool], str]:
    return (lambda v: _number(v) and 0.0 <= v < 1.0), "a number from 0 to below 1"


def _class() -> tuple[Callable[[Any], bool], str]:
    return (lambda v: isinstance(v, dict) and "_target_" in v), "a class by _target_, or null"


def _rate_or_class() -> tuple[Callable[[Any], bool], str]:
    test, expected = _rate()
    return (lambda v: test(v) or isinstance(v, dict)), f"{expected}, or a class by _target_"


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _choice(*names: str) -> tuple[Callable[[Any], bool], str]:
    return (lambda v: v in names), f"one of {', '.join(names)}"


_VALUES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "study": _whole(0),
    "trial": _whole(1),
    "seed": ((lambda v: 0 <= v < 2**63), "a whole number from 0 to 2^63 - 1"),
    "base_seed": ((lambda v: 0 <= v < 2**32), "a whole number from 0 to 2^32 - 1"),
    "max_steps": _whole(1),
    "eval_every_steps": _whole(1),
    "pause_at": _positive(),
    "keep_checkpoints": _whole(2),
    "display": _choice("auto", "rich", "plain", "none"),
    "workload.tier": _choice("full", "development", "tiny", "proxy"),
    "workload.compile": _choice("none", "model", "loss", "all"),
    "workload.eval_batch_size": _whole(1),
    "workload.baseline_batch_size": _whole(1),
    "workload.dropout_rate": _rate(),
    "submission.tuning": _choice("external", "self"),
    "submission.schedule": _class(),
    "submission.average": _class(),
    "submission.batch_size": _whole(1),
    "submission.grad_clip": _positive(),
    "submission.label_smoothing": _rate(),
    "submission.dropout_rate": _rate_or_class(),
    "submission.stop_factor": _positive(),
    "ruleset.tuning": _choice("external", "self"),
    "targets.protocol.setup_limit": _positive(),
    "trainer.accelerator": _choice("auto", "cpu", "cuda"),
    "trainer.threads": _whole(1),
    "trainer.hang_steps": _positive(),
    "trainer.hang_floor": _positive(),
    "trainer.hang_timeout": _positive(),
    "trainer.eval_timeout": _positive(),
    "logger.first": _whole(0),
    "logger.every": _whole(1),
    "data.workers": _whole(0),
    "data.prefetch": _whole(1),
}

_TARGET_VALUES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "direction": _choice("max", "min"),
    "validation_target": (math.isfinite, "a finite number"),
    "max_runtime": _positive(),
    "eval_period": _positive(),
    "step_hint": _whole(1),
}


def _check_rules(config: Config) -> None:
    targets, name, ruleset = config["targets"], config["workload"]["name"], config["ruleset"]
    if name not in targets["workloads"]:
        raise ConfigError(
            f"workload.name: version {targets['version']} has no targets for {name!r}",
            expected=f"one of {', '.join(targets['workloads'])}",
            where="conf/targets",
            fix="targets=v05 | v06 | v10, or add the workload's line to a targets file",
        )
    for key, (test, expected) in _TARGET_VALUES.items():
        value = targets["workloads"][name][key]
        if not test(value) and not _is_unset(key, targets["workloads"][name]):
            full = f"targets.workloads.{name}.{key}"
            raise _impossible(full, value, expected, "conf/targets")
    if ruleset["name"] not in targets["rulesets"]:
        raise ConfigError(
            f"ruleset.name: version {targets['version']} has no rule set {ruleset['name']!r}",
            expected=f"one of {', '.join(targets['rulesets'])}",
            where="conf/targets",
            fix="ruleset=external | self_tuning",
        )
    if ruleset["tuning"] != config["submission"]["tuning"]:
        raise ConfigError(
            f"submission.tuning: {config['submission']['name']!r} is for "
            f"{config['submission']['tuning']} tuning",
            expected=f"a submission for {ruleset['tuning']} tuning (ruleset={ruleset['name']})",
            where="command line",
            fix="choose the other rule set (ruleset=external | self_tuning) or another submission",
        )
    for split in ("train", "eval_train", "validation", "test"):
        count = config["workload"]["num_examples"].get(split)
        if count is None or count < 0 or (count == 0 and split != "test"):
            key, where = f"workload.num_examples.{split}", f"conf/workload/{name}.yaml"
            raise _impossible(key, count, "a number of examples", where)


def _is_unset(key: str, target: Mapping[str, Any]) -> bool:
    """Whether it is the target of a new variant, which nobody reaches before it has been set."""
    nobody = {"max": math.inf, "min": -math.inf}.get(target["direction"])
    return key == "validation_target" and bool(target[key] == nobody)


def _check_devices(config: Config) -> None:
    devices = config["trainer"]["devices"]
    good = devices == "all" or (devices.isdigit() and int(devices) > 0)
    if not good:
        expected = 'a number of processes, or "all"'
        raise _impossible("trainer.devices", devices, expected, _where("trainer.devices"))
    if devices == "all" and config["trainer"]["accelerator"] == "cpu":
        raise ConfigError(
            "trainer.devices: all processes of a CPU are not defined",
            expected="a number, such as trainer.devices=2",
            where=_where("trainer.devices"),
        )


def _check_data(config: Config) -> None:
    name = config["workload"]["name"]
    folder = Path(config["data"]["dir"], config["workload"]["data"]["dataset"])
    if not (folder / "index.json").is_file():
        raise ConfigError(
            f"data.dir: there are no prepared data for workload {name!r}",
            expected=f"{folder / 'index.json'}",
            where=f"data.dir={config['data']['dir']}" + _from_environment("ALGOPERF_DATA"),
            fix=f"algoperf-prepare {name} --raw RAW_FILES --out {folder}, or data.dir=FOLDER",
        )
    if not os.access(folder, os.R_OK | os.X_OK):
        raise ConfigError(f"data.dir: {folder} cannot be read", expected="a readable folder")


def _from_environment(name: str) -> str:
    return f" (from ${name})" if name in os.environ else ""


def _get(config: Config, key: str) -> Any:
    node: Any = config
    for part in key.split("."):
        node = node[part]
    return node


def _where(key: str) -> str:
    group = key.split(".")[0]
    return f"conf/{group}" if "." in key else "conf/train.yaml or the command line"
