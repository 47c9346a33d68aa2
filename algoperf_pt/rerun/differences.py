"""What here is not as it was then?  Code, data, versions and machine, before a step is made."""

import json
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from algoperf_pt.data.index import DataIndex
from algoperf_pt.environment import source_hash
from algoperf_pt.errors import ConfigError

_MACHINE = ("cpu", "gpus", "driver", "device", "threads", "ranks", "cuda", "cudnn", "numerics")


@dataclass(frozen=True)
class Difference:
    """One thing that is not as it was."""

    what: str
    then: Any
    now: Any

    def __str__(self) -> str:
        return f"{self.what}: {_short(self.then)} then, {_short(self.now)} now"


def before_the_start(config: dict[str, Any], environment: dict[str, Any]) -> list[Difference]:
    """Differences for which a repetition is refused: source, data, versions."""
    about = config["workload"]["data"]
    root = Path(config["data"]["dir"], about["dataset"])
    index = DataIndex.open(root, about["dataset"], about["preparer_version"])
    now: dict[str, Any] = {"source": source_hash(), "data": index.fingerprint}
    now["python"] = platform.python_version()
    then = {
        "source": environment.get("source_sha256"),
        "data": environment.get("data_fingerprint"),
        "python": environment.get("python"),
    }
    packages = {"torch": environment.get("torch"), **environment.get("packages", {})}
    then.update(packages)
    now.update({name: _version(name) for name in packages})
    return _unequal(then, now)


def of_the_machine(before: dict[str, Any], after: dict[str, Any]) -> list[Difference]:
    """Differences of two environment.json for which bits and times may differ."""
    return _unequal(*({key: e.get(key) for key in _MACHINE} for e in (before, after)))


def told(differences: Sequence[Difference]) -> str:
    """One a line."""
    return "".join(f"\n    {difference}" for difference in differences)


def read_environment(folder: Path) -> dict[str, Any]:
    """environment.json of a trial."""
    try:
        content: dict[str, Any] = json.loads((folder / "environment.json").read_text())
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"{folder / 'environment.json'} cannot be read: {error}",
            expected="the record of a trial that has begun to train",
        ) from error
    return content


def _unequal(then: dict[str, Any], now: dict[str, Any]) -> list[Difference]:
    return [Difference(key, then[key], now[key]) for key in then if then[key] != now[key]]


def _version(name: str) -> str | None:
    if name == "torch":
        import torch

        return str(torch.__version__)
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _short(value: Any) -> str:
    text = str(value)
    return f"{text[:12]}..." if len(text) == 64 else text
