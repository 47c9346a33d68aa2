"""What does a golden fixture hold?  Numbers of a reference, whose weights follow from their names.

A folder holds `params.json` (every tensor of the reference model: name, shape, role and the `fill`
by which its values follow from its name), `case0.npz` and other .npz files (inputs and what the
reference made of them), `init.json` (statistics after the reference's own initialisation).
"""

import json
import re
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from algoperf_pt.errors import DataError

Array = np.ndarray[Any, Any]


class Values(Mapping[str, Array]):
    """One .npz file; remembers what was read, so that nothing is left out unnoticed."""

    def __init__(self, path: Path) -> None:
        self.name, self.read = path.stem, set[str]()
        try:
            with np.load(path, allow_pickle=False) as file:
                self._arrays: dict[str, Array] = dict(file)
        except (OSError, ValueError, zlib.error) as error:
            raise DataError(f"{path} cannot be read: {error}", expected="an .npz file") from error

    def __getitem__(self, key: str) -> Array:
        if key not in self._arrays:
            raise DataError(f"{self.name}.npz has no {key!r}", expected=", ".join(self._arrays))
        self.read.add(key)
        return self._arrays[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._arrays)

    def __len__(self) -> int:
        return len(self._arrays)


class Fixture:
    """A golden folder.

    Args:
        root: the folder; `params.json` and `case0.npz` must be in it.
    """

    def __init__(self, root: Path) -> None:
        missing = [name for name in ("params.json", "case0.npz") if not (root / name).is_file()]
        if missing:
            raise DataError(
                f"{root} has no {' and no '.join(missing)}",
                expected="a folder in the golden format (tests/golden/mnist/README.md)",
                fix="give --fixture such a folder",
            )
        self.root = root
        self.params: dict[str, Any] = read_json(root / "params.json")
        absent = [key for key in ("n_params", "tensors") if key not in self.params]
        if absent:
            raise DataError(f"{root / 'params.json'} has no {absent[0]!r}")
        self.files = {path.stem: Values(path) for path in sorted(root.glob("*.npz"))}
        self.case = self.files["case0"]
        self.read = {"params.json", "init.json", "init_stats.json", "README.md"}

    @property
    def tensors(self) -> list[dict[str, Any]]:
        """name, shape, type, kind and fill of the reference's tensors, parameters first."""
        found: list[dict[str, Any]] = self.params["tensors"]
        return found

    @property
    def parameters(self) -> list[dict[str, Any]]:
        """Those that are trained, in the order of the gradient norms."""
        return [tensor for tensor in self.tensors if tensor["kind"] == "param"]

    def path(self, name: str) -> Path:
        """A further file of the fixture, noted as read."""
        if not (self.root / name).is_file():
            raise DataError(f"{self.root} has no {name}", expected="a complete fixture")
        self.read.add(name)
        return self.root / name

    def json(self, name: str) -> Any:
        """Content of a further JSON file."""
        return read_json(self.path(name))

    def initial(self) -> dict[str, dict[str, float]]:
        """Tensor name -> mean, std, min, max under the reference's initialisation; {} if absent."""
        for name in ("init.json", "init_stats.json"):
            if (self.root / name).is_file():
                content = read_json(self.root / name)
                if isinstance(content, list):
                    return {entry["name"]: entry for entry in content}
                found: dict[str, dict[str, float]] = content["params"]
                return found
        return {}


def read_json(path: Path) -> Any:
    """Content of a JSON file."""
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read: {error}", expected="a JSON file") from error


def recipe(name: str, shape: tuple[int, ...]) -> Array:
    """float32 standard normal values that follow from a name."""
    generator = np.random.Generator(np.random.PCG64(zlib.crc32(name.encode())))
    drawn: Array = generator.standard_normal(shape).astype(np.float32)
    return drawn


def filled(tensor: dict[str, Any]) -> Array | None:
    """Values of a tensor of params.json; None: it stays as the model builds it."""
    name, shape = tensor["name"], tuple(tensor["shape"])
    fill = tensor["fill"].replace(" ", "").replace("*", "").replace("abs(z)", "|z|")
    if fill in ("keep", "asbuilt"):
        return None
    numel = int(np.prod(shape))
    if match := re.fullmatch(r"([\d.]+)sin\(arange\(numel\)\+crc32\(name\)%(\d+)\)", fill):
        phase = zlib.crc32(name.encode()) % int(match[2])
        wave = np.sin(np.arange(numel, dtype=np.float64) + phase).reshape(shape)
        waved: Array = (float(match[1]) * wave).astype(np.float32)
        return waved
    z = recipe(name, shape)
    if fill == "z/sqrt(numel/shape[0])":
        scaled: Array = (z / np.sqrt(numel / shape[0])).astype(np.float32)
        return scaled
    if match := re.fullmatch(r"(?:([\d.]+)\+)?([\d.]+)(z|\|z\|)", fill):
        values = np.float32(match[2]) * (np.abs(z) if match[3] == "|z|" else z)
        return (np.float32(match[1] or 0) + values).astype(np.float32)
    raise DataError(f"params.json: {name} has the unknown fill {tensor['fill']!r}")
