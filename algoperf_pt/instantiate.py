"""From a `_target_` to an object, with an error that names the key when the path is wrong."""

import importlib
import os
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from algoperf_pt.errors import ConfigError

_UNKNOWN = re.compile(r"got an unexpected keyword argument '(\w+)'")
T = TypeVar("T")


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
    path = str(config["_target_"])
    made = import_object(path, "_target_")
    return call_with(kwargs, path, lambda: made(**kwargs, **extra))


def call_with(given: Mapping[str, Any], what: str, make: Callable[[], T]) -> T:
    """`make()`, which hands over `given`, keys of the configuration.

    Args:
        what: a class, or a key of the configuration, for the error.

    Raises:
        ConfigError: one of them is no argument of what is called.
    """
    try:
        return make()
    except TypeError as error:
        found = _UNKNOWN.search(str(error))
        if found is None or found[1] not in given:
            raise  # a mistake in the code that is called
        others = ", ".join(key for key in given if key != found[1]) or "none"
        raise ConfigError(
            f"{what} takes no argument {found[1]!r}",
            expected=f"of the given ones: {others}",
            where=f"the key {found[1]}={given[found[1]]!r}",
            fix="leave it out, or name an argument of the class",
        ) from error
