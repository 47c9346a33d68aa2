"""Which hardware class is this?  Times within a class are compared as they are; a class is a
function of GPU model and count, or of CPU model and cores, and its table is classes.yaml.
"""

import re
from functools import cache
from pathlib import Path
from typing import Any, cast

from omegaconf import OmegaConf


def gpu_class(name: str, count: int) -> str:
    """Of `count` GPUs that the system calls `name`, e.g. "8xV100-16GB"."""
    words = set(re.split("[^0-9a-z]+", name.lower()))
    models = (m["model"] for m in _table()["models"] if words.issuperset(m["words"]))
    return f"{count}x{next(models, ' '.join(name.split()))}"


def cpu_class(name: str, cores: int) -> str:
    """Of a CPU on `cores` of whose cores something computes, e.g. "AMD EPYC 7B12, 8 cores"."""
    table, text = _table(), name
    for mark in table["marks"]:
        text = re.sub(re.escape(mark), " ", text, flags=re.IGNORECASE)
    words = [word for word in text.split() if word.lower() not in table["left_out"]]
    return f"{' '.join(words) or 'unknown CPU'}, {cores} core{'s' * (cores != 1)}"


@cache
def _table() -> dict[str, Any]:
    path = Path(__file__).with_name("classes.yaml")
    return cast(dict[str, Any], OmegaConf.to_container(OmegaConf.load(path)))
