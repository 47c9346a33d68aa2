"""Where is a search space?  In a JSON file, as AlgoPerf has them, or in YAML."""

import json
from pathlib import Path
from typing import Any

from algoperf_pt.errors import ConfigError

SUFFIXES = (".json", ".yaml", ".yml")


def read_space(name: str, folder: Path) -> Any:
    """The content of a search space file: ranges by name, or a list of points.

    Args:
        name: path from the current folder, or else from the submission's.
        folder: the submission's.

    Raises:
        ConfigError: no such file, or neither JSON nor YAML is in it.
    """
    tried = [Path(name).expanduser(), folder / name]
    path = next((path for path in tried if path.is_file()), None)
    if path is None:
        raise ConfigError(
            f"submission.space: there is no file {' nor '.join(map(str, dict.fromkeys(tried)))}",
            expected="a JSON or YAML file of a search space",
            where=f"submission.space={name}",
        )
    return load(path)


def load(path: Path) -> Any:
    """The content of a JSON or YAML file as plain containers; of a submission's YAML what its
    `points`, or else its `space`, says.
    """
    content = _yaml(path) if path.suffix in (".yaml", ".yml") else _json(path)
    if isinstance(content, dict) and {"points", "space"} & set(content):
        return content.get("points") or content.get("space")
    return content


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(), object_pairs_hook=_unique)
    except ValueError as error:
        raise ConfigError(f"{path} is no JSON: {error}", where=str(path)) from error


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = [name for name, _ in pairs]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise ValueError(f"the key {twice[0]!r} is there twice")
    return dict(pairs)


def _yaml(path: Path) -> Any:
    """By OmegaConf, to which 1e-4 is a number, as it is to Hydra."""
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError  # type: ignore[import-untyped]

    try:
        return OmegaConf.to_container(OmegaConf.load(path))
    except (YAMLError, OmegaConfBaseException, OSError) as error:
        raise ConfigError(f"{path} is no YAML: {error}", where=str(path)) from error
