"""Where are lists and axes read from?  From conf, or from a file of the user's.  No torch here."""

from importlib.resources import files
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError  # type: ignore[import-untyped]

from algoperf_pt.errors import ConfigError


def read_ours(group: str, name: str) -> Any | None:
    """conf/<group>/<name>.yaml as plain containers; None: there is none."""
    path = files("conf").joinpath(group, f"{name}.yaml")
    return read_yaml(Path(str(path))) if path.is_file() else None


def names_of(group: str) -> list[str]:
    """The files of conf/<group>."""
    found = (path.name for path in files("conf").joinpath(group).iterdir())
    return sorted(name.removesuffix(".yaml") for name in found if name.endswith(".yaml"))


def read_yaml(path: Path) -> Any:
    """A YAML file as plain containers.

    Raises:
        ConfigError: it cannot be read, or is no YAML.
    """
    try:
        return OmegaConf.to_container(OmegaConf.load(path), resolve=True)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}", expected="a YAML file") from error
    except (YAMLError, OmegaConfBaseException) as error:
        problem = " ".join(str(error).split())
        raise ConfigError(f"{path} is no valid YAML: {problem}", where=str(path)) from error
