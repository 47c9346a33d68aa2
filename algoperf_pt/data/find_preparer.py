"""Which preparer belongs to a name?  The one that the YAML of the workload names."""

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from algoperf_pt.data.preparer import Preparer
from algoperf_pt.errors import ConfigError
from algoperf_pt.instantiate import instantiate


def find_preparer(name: str, settings: Sequence[str] = ()) -> Preparer:
    """The preparer that conf/workload/<name>.yaml names, or that of a workload whose dataset has
    this name.

    Args:
        name: of a workload or a dataset.
        settings: "key=value", in place of what the YAML says under `prepare`.

    Raises:
        ConfigError: no such workload, or no such key; lists the choices.
    """
    folder = Path(str(files("conf"))) / "workload"
    path = folder / f"{name}.yaml"
    if not path.is_file():
        path = _user_of(name, folder)
    node: Any = OmegaConf.to_container(_prepare_node(path))
    for setting in settings:
        _set(node, setting, path)
    found = instantiate(node)
    assert isinstance(found, Preparer)
    return found


def _set(node: dict[str, Any], setting: str, path: Path) -> None:
    key, equals, text = setting.partition("=")
    choices = ", ".join(name for name in node if name != "_target_")
    where = f"conf/workload/{path.name}: prepare"
    if not equals or key not in choices.split(", "):
        raise ConfigError(
            f"{setting!r} is no setting of this preparation",
            expected=f"KEY=VALUE with KEY one of {choices or '(it has none)'}",
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


def _user_of(dataset: str, folder: Path) -> Path:
    paths = sorted(folder.glob("*.yaml"))
    for path in paths:
        if OmegaConf.select(OmegaConf.load(path), "data.dataset") == dataset:
            return path
    choices = ", ".join(path.stem for path in paths)
    raise ConfigError(f"there is no workload or dataset {dataset!r}", expected=f"one of {choices}")


def _prepare_node(path: Path) -> Any:
    """`prepare` of a workload's YAML; a variant has that of the one that it builds on."""
    node = OmegaConf.load(path)
    while "prepare" not in node:
        (parent,) = [name for name in node.defaults if name != "_self_"]
        node = OmegaConf.load(path.parent / f"{parent}.yaml")
    return node.prepare
