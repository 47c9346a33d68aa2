"""What does the doctor know beforehand?  The file known.yaml."""

from functools import cache
from pathlib import Path
from typing import Any, cast

from omegaconf import OmegaConf


@cache
def known() -> dict[str, Any]:
    """Its content."""
    content = OmegaConf.to_container(OmegaConf.load(Path(__file__).with_name("known.yaml")))
    return cast(dict[str, Any], content)
