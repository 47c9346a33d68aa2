"""From a `_target_` to an object, with an error that names the key when the path is wrong."""

import importlib
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from algoperf_pt.errors import ConfigError


def find_own_modules() -> None:
    """Let Python find the user's modules in the current folder.  Ours come before them, or a plain
    folder `conf` there would hide our package of that name under an editable install.
    """
    for folder in (str(Path(__file__).parents[1]), os.getcwd()):
        if folder not in sys.path:
            sys.path.append(folder)


def import_object(path: str, key: str) -> Any:
    """The class or function at a dotted path.

    Args:
        path: such as "torch.optim.Adagrad".
        key: configuration key that holds the path, for the error.
    """
    module, _, name = path.rpartition(".")
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(
            f"{key}={path} cannot be imported: {error}",
            expected="a dotted path module.Class that Python can import from here",
            where=key,
            fix="check the spelling, install the package, or add its folder to PYTHONPATH",
        ) from error


def instantiate(config: Mapping[str, Any], **extra: Any) -> Any:
    """Call `config["_target_"]` with the other keys and `extra` as keyword arguments."""
    kwargs = {key: value for key, value in config.items() if key != "_target_"}
    return import_object(str(config["_target_"]), "_target_")(**kwargs, **extra)
