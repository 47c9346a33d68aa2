"""From a command line to a checked configuration, or to one clear message.  No torch here."""

import difflib
import hashlib
import json
import re
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_module
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

from algoperf_pt import schema
from algoperf_pt.config_checks import check
from algoperf_pt.errors import ConfigError
from algoperf_pt.reference.point import settle
from algoperf_pt.seeds import trial_seed
from algoperf_pt.tuning.taking import take_point

Config = dict[str, Any]

# Keys that may differ between attempts of one trial: no figure depends on them.
VOLATILE = (
    "display",
    "experiment_dir",
    "keep_checkpoints",
    "pause_at",
    "data.dir",
    "data.workers",
    "data.prefetch",
    "logger",
    "trainer.hang_steps",
    "trainer.hang_floor",
    "trainer.hang_timeout",
    "trainer.eval_timeout",
)


def register_resolvers() -> None:
    """`${one_minus:x}`: AlgoPerf's spaces hold 1 - beta1."""
    OmegaConf.register_new_resolver("one_minus", lambda x: 1.0 - float(x), replace=True)


def compose_config(
    overrides: list[str], config_dir: str | None = None, needs_data: bool = True
) -> Config:
    """The resolved and checked configuration as plain containers.

    Args:
        overrides: as typed, e.g. ["workload=digits", "submission.hparams.learning_rate=0.01"].
        config_dir: the user's own folder of configuration groups.
        needs_data: False where nothing is read: the prepared data need not be there.

    Raises:
        ConfigError: one message with key, value, expectation and place.
    """
    schema.register()
    register_resolvers()
    GlobalHydra.instance().clear()
    search = search_path(config_dir, overrides)
    with initialize_config_module("conf", version_base="1.3"):
        try:
            return finish(compose("train", [*search, *overrides]), overrides, needs_data)
        except (HydraException, OmegaConfBaseException) as error:
            raise explain(error, overrides) from error


def search_path(config_dir: str | None, words: Sequence[str] = ()) -> list[str]:
    """Hydra's word for the user's own folder of configuration groups, and those that are typed in
    Hydra's way; Hydra heeds the first such word.
    """
    if config_dir and not Path(config_dir).is_dir():
        raise ConfigError(
            f"--config-dir {config_dir} is no folder", fix="give a folder with Hydra groups"
        )
    typed = [word.partition("=")[2] for word in words if word.startswith("hydra.searchpath=")]
    folders = [part.strip() for part in typed[-1].strip("[]").split(",")] if typed else []
    if config_dir:
        folders.insert(0, str(Path(config_dir).resolve()))
    return [f"hydra.searchpath=[{','.join(folders)}]"] if folders else []


def finish(node: DictConfig, overrides: list[str], needs_data: bool = True) -> Config:
    """Resolve, fill in what follows from the rest, and check what types cannot say."""
    point = take_point(node, overrides)
    plain: Any = OmegaConf.to_container(node, resolve=True, throw_on_missing=True)
    config: Config = plain
    _refuse_added_keys(config)
    config["submission"]["read"] = _interpolated_hparams(node)
    config["submission"]["point"] = point
    if config["seed"] is None:
        config["seed"] = trial_seed(config["base_seed"], config["study"], config["trial"])
    config["submission"]["given"] = sorted(_typed_arguments(overrides))
    config["experiment_dir"] = str(Path(config["experiment_dir"]).expanduser().resolve())
    config["data"]["dir"] = str(Path(config["data"]["dir"]).expanduser().resolve())
    settle(config)
    check(config, needs_data)
    _refuse_unread(config["submission"])
    targets, name = config["targets"], config["workload"]["name"]
    targets["workloads"] = {
        name: targets["workloads"][name]
    }  # the others do not concern this trial
    return config


def _refuse_added_keys(config: Config) -> None:
    """Keys that a + has added to the schema.  Of the workloads' targets, which take most of the
    time, only this one's: the others do not concern the trial.
    """
    name, targets = config["workload"]["name"], config["targets"]
    own = {key: value for key, value in targets["workloads"].items() if key == name}
    smaller = {**config, "targets": {**targets, "workloads": own}}
    OmegaConf.merge(OmegaConf.structured(schema.Config), smaller)


def _interpolated_hparams(node: DictConfig) -> list[str]:
    """Hyperparameters that the submission's YAML uses: `${submission.hparams.NAME}`."""
    raw = json.dumps(OmegaConf.to_container(node.submission, resolve=False))
    return sorted(set(re.findall(r"submission\.hparams\.(\w+)", raw)))


def _refuse_unread(submission: Config) -> None:
    """Hyperparameters that a submission without code of its own cannot read: no part names them."""
    unread = [name for name in submission["hparams"] if name not in submission["read"]]
    if not unread or submission["_target_"] != schema.Submission._target_:
        return
    name, where = unread[0], "submission.hparams"
    if name in submission["point"]["typed"]:
        where = f"command line: +{where}.{name}=..."
    elif submission["point"]["from"] != "hparams":
        where = f"submission.{submission['point']['from']}"
    raise ConfigError(
        f"nothing reads the hyperparameter {name!r}",
        expected=f"${{submission.hparams.{name}}} somewhere in the submission's YAML",
        where=where,
        fix=f"use it, or take it out of hparams and space (here: ~submission.hparams.{name}): "
        "tuning it would change nothing",
    )


def _typed_arguments(overrides: list[str]) -> set[str]:
    """Keyword arguments of the optimizer that stand on the command line."""
    pattern = re.compile(r"^\+{0,2}submission\.optimizer\.(\w+)=")
    return {m.group(1) for o in overrides if (m := pattern.match(o)) and m.group(1) != "_target_"}


def trial_folder(config: Config) -> Path:
    """<experiments>/<submission>/study_<k>/<workload>/trial_<n>."""
    return Path(
        config["experiment_dir"],
        config["submission"]["name"],
        f"study_{config['study']}",
        config["workload"]["name"],
        f"trial_{config['trial']}",
    )


def config_hash(config: Config) -> str:
    """SHA-256 over everything that a figure may depend on; equal on all ranks and attempts of a
    trial.
    """
    return hashlib.sha256(json.dumps(stable_part(config), sort_keys=True).encode()).hexdigest()


def stable_part(config: Config) -> dict[str, Any]:
    """The configuration as {"dotted.key": value}, without the volatile keys."""
    flat = flatten(config)
    return {
        k: v
        for k, v in flat.items()
        if not any(k == v_ or k.startswith(v_ + ".") for v_ in VOLATILE)
    }


def differences(before: Config, after: Config) -> dict[str, tuple[Any, Any]]:
    """{"dotted.key": (before, after)} where two flat configurations are not equal, in order."""
    keys = sorted(before.keys() | after.keys())
    return {k: (before.get(k), after.get(k)) for k in keys if before.get(k) != after.get(k)}


def flatten(config: Any, prefix: str = "") -> dict[str, Any]:
    """Nested containers as {"dotted.key": leaf}."""
    if not isinstance(config, dict) or not config:
        return {prefix: config}
    flat: dict[str, Any] = {}
    for key, value in config.items():
        flat |= flatten(value, f"{prefix}.{key}" if prefix else str(key))
    return flat


def explain(error: Exception, overrides: list[str]) -> ConfigError:
    """Hydra's and OmegaConf's errors in our form: key, value, expectation, place."""
    unread = _unreadable(error, overrides)
    if unread:
        return ConfigError(
            f"{unread!r} cannot be read",
            expected="KEY=VALUE; quotes around a word with spaces or brackets, 'KEY=[1,2]'",
            where=f"command line: {unread}",
            fix="python train.py --help shows the groups; --cfg job shows every key with its value",
        )
    chain: list[BaseException] = [error]
    while (cause := chain[-1].__cause__ or chain[-1].__context__) is not None:
        chain.append(cause)
    first_lines = [str(e).strip().splitlines()[0] for e in chain if str(e).strip()]
    named = [e for e in chain if getattr(e, "full_key", None)]  # deeper ones are unformatted
    root = named[-1] if named else chain[0]
    key = str(getattr(root, "full_key", None) or getattr(root, "key", None) or "")
    where = _place(first_lines, key, overrides)
    if isinstance(error, MissingConfigException):
        return ConfigError(
            first_lines[0].removeprefix("In 'train': "),
            expected=_options(str(error)),
            where=_chosen(str(error.missing_cfg_file), overrides) or where,
            fix=_near_option(error),
        )
    if "You must specify" in str(error):
        return ConfigError(
            first_lines[0].rstrip("."),
            expected=_options(str(error)),
            where="command line",
            fix="for example workload=digits",
        )
    names = [str(n) for n in _siblings(root)]
    last = key.split(".")[-1]
    near = difflib.get_close_matches(last, [n for n in names if n != last], n=1)
    problem = (
        str(root).strip().splitlines()[0]
        if isinstance(root, OmegaConfBaseException)
        else first_lines[-1]
    )
    if isinstance(root, MissingMandatoryValue):
        fix = _heirs(overrides) or f"give it one: {key}=..."
        return ConfigError(f"{key} has no value", where=where, fix=fix)
    if isinstance(root, OmegaConfBaseException) and near:
        fix = f"did you mean {near[0]!r}?"
    elif "not in struct" in problem or "Could not override" in first_lines[0]:
        fix = f"if a new key is meant, write +{_override_of(key, overrides) or key + '=...'}"
    else:
        fix = "python train.py --help shows the groups; --cfg job shows every key with its value"
    expected = f"one of {', '.join(names)}" if names and "not in" in problem else _type_of(root)
    return ConfigError(
        f"{key or 'configuration'}: {problem}", expected=expected, where=where, fix=fix
    )


def _unreadable(error: Exception, overrides: list[str]) -> str:
    """The word of the command line that is no override, if there is one."""
    if isinstance(error, OverrideParseException):
        return str(error.override)
    return next((word for word in overrides if word.startswith("=")), "")


def _heirs(overrides: list[str]) -> str:
    """Which submissions build on the chosen one and give it the values that it lacks?"""
    typed = dict(o.split("=", 1) for o in overrides if "=" in o)
    base, workload = f"/submission/{typed.get('submission')}@_here_", typed.get("workload")
    folder = Path(str(files("conf")), "submission")
    heirs = sorted(path for path in folder.glob("*/*.yaml") if base in path.read_text())
    if not heirs:
        return ""
    group = heirs[0].parent.name
    if (folder / group / f"{workload}.yaml").exists():
        return f"use submission={group}/{workload}, which has this workload's point"
    example = f"{group}/{heirs[0].stem}"
    return f"use submission={group}/WORKLOAD, such as {example}, or type every hyperparameter"


def _siblings(root: BaseException) -> list[str]:
    kind = getattr(root, "object_type", None)
    fields = getattr(kind, "__dataclass_fields__", None)
    if fields:
        return list(fields)
    parent = getattr(root, "parent_node", None)
    return list(parent.keys()) if parent is not None and hasattr(parent, "keys") else []


def _type_of(root: BaseException) -> str:
    node = getattr(root, "child_node", None)
    kind = getattr(root, "ref_type", None)
    if node is not None and hasattr(node, "_metadata"):
        kind = node._metadata.ref_type
    return f"a value of type {getattr(kind, '__name__', kind)}" if kind else ""


def _place(lines: list[str], key: str, overrides: list[str]) -> str:
    typed = _override_of(key, overrides)
    if typed:
        return f"command line: {typed}"
    match = next((m for line in lines if (m := re.match(r"In '([^']+)'", line))), None)
    return f"conf/{match.group(1)}.yaml" if match else "command line"


def _override_of(key: str, overrides: list[str]) -> str:
    last = key.split(".")[-1]
    return next(
        (o for o in overrides if key and re.split(r"[.+=]", o.partition("=")[0])[-1] == last), ""
    )


def _chosen(choice: str, overrides: list[str]) -> str:
    """The override that asked for "group/name"."""
    group, _, name = choice.rpartition("/")
    return next((f"command line: {o}" for o in overrides if o == f"{group}={name}"), "")


def _options(message: str) -> str:
    found = re.findall(r"^\s+(\w[\w-]*)\s*$", message, flags=re.MULTILINE)
    return f"one of {', '.join(found)}" if found else ""


def _near_option(error: MissingConfigException) -> str:
    wanted = str(error.missing_cfg_file or "").split("/")[-1]
    near = difflib.get_close_matches(wanted, list(error.options or []), n=1)
    return f"did you mean {near[0]!r}?" if near else "python train.py --help lists the choices"
