"""Which preparer belongs to a name?  The one that the YAML of the workload names."""

from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from algoperf_pt.data.preparer import Preparer
from algoperf_pt.errors import ConfigError
from algoperf_pt.instantiate import instantiate


def find_preparer(
    name: str, settings: Sequence[str] = (), config_dir: Path | None = None
) -> Preparer:
    """The preparer that conf/workload/<name>.yaml names, or that of a workload whose dataset has
    this name.

    Args:
        name: of a workload or a dataset.
        settings: "key=value", in place of what the YAML says under `prepare`.
        config_dir: the user's own folder of configuration groups, beside conf.

    Raises:
        ConfigError: no such workload, folder or key; lists the choices.
    """
    path, paths = _workloads(name, config_dir)
    node: Any = OmegaConf.to_container(_prepare_node(path, paths))
    for setting in settings:
        _set(node, setting, path)
    found = instantiate(node)
    assert isinstance(found, Preparer)
    return found


def _set(node: dict[str, Any], setting: str, path: Path) -> None:
    key, equals, text = setting.partition("=")
    choices = [name for name in node if name != "_target_"]
    where = f"conf/workload/{path.name}: prepare"
    if not equals or key not in choices:
        raise ConfigError(
            f"{setting!r} is no setting of this preparation",
            expected=f"KEY=VALUE with KEY one of {', '.join(choices) or '(it has none)'}",
            where=where,
        )
    value: Any = OmegaConf.to_object(OmegaConf.from_dotlist([f"{key}={text}"]))
    if type(value[key]) is not type(node[key]):
        raise ConfigError(
            f"{setting!r} has a value of type {type(value[key]).__name__}",
            expected=f"{type(node[key]).__name__}, as {key}={node[key]}",
            where=where,
        )
    node.update(value)


def _workloads(name: str, config_dir: Path | None) -> tuple[Path, dict[str, Path]]:
    """(that of the name, all by their names): YAML files of conf/workload, and of the user."""
    if config_dir is not None and not config_dir.is_dir():
        raise ConfigError(
            f"--config-dir {config_dir} is no folder", fix="give a folder with Hydra groups"
        )
    roots = [Path(str(files("conf"))), *([config_dir] if config_dir else [])]
    found = [path for root in roots for path in sorted((root / "workload").glob("*.yaml"))]
    paths = {path.stem: path for path in reversed(found)}  # Hydra, too, takes ours before theirs
    return paths[name] if name in paths else _user_of(name, found), paths


def _user_of(dataset: str, paths: Sequence[Path]) -> Path:
    for path in paths:
        if OmegaConf.select(OmegaConf.load(path), "data.dataset") == dataset:
            return path
    choices = ", ".join(path.stem for path in paths)
    raise ConfigError(
        f"there is no workload or dataset {dataset!r}",
        expected=f"one of {choices}",
        fix="for a workload of your own also --config-dir DIR, with DIR/workload/NAME.yaml",
    )


def _prepare_node(path: Path, paths: Mapping[str, Path]) -> Any:
    """`prepare` of a workload's YAML; a variant has that of the one that it builds on."""
    node = OmegaConf.load(path)
    while "prepare" not in node:
        listed = OmegaConf.select(node, "defaults") or ()
        parents = [name for name in listed if isinstance(name, str) and name in paths]
        if not parents:
            raise ConfigError(
                f"{path} does not say how its data are prepared",
                expected="prepare: {_target_: ...}, a subclass of Preparer",
                where=str(path),
            )
        path = paths[parents[0]]
        node = OmegaConf.load(path)
    return node.prepare
