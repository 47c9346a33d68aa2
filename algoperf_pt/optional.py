"""Where does a package come from that only some workloads need?  From an extra of setup.cfg."""

import importlib
from typing import Any

from algoperf_pt.errors import ConfigError


def need(module: str, extra: str) -> Any:
    """Import a module that is not among the project's own requirements.

    Raises:
        ConfigError: it is not installed; names the extra that brings it.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"the package {module!r} is not installed",
            expected=f"it, for {extra}",
            fix=f"pip install 'algoperf-pt[{extra}]', or pip install -r requirements.txt",
        ) from error
