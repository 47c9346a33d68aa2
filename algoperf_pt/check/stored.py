"""Does a file hold a model's parameters?  Its tensors' shapes against those of the model."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

_MOST = 1 << 30  # bytes of a file that is looked into


def tensors_in(path: Path) -> list[tuple[int, ...]]:
    """Shapes of the tensors in a file of torch, numpy or safetensors; [] for other files."""
    try:
        if path.stat().st_size > _MOST:
            return []
        if path.suffix == ".safetensors":
            return _shapes_in_header(path)
        return [tuple(t.shape) for t in _flat(_content(path))]
    except Exception:  # of any kind: it is no such file
        return []


def holds_model(path: Path, parameters: Iterable[torch.Tensor]) -> bool:
    """Whether the file has a tensor of the shape of every parameter of at least two dimensions."""
    wanted = Counter(tuple(p.shape) for p in parameters if p.dim() > 1)
    return bool(wanted) and not wanted - Counter(tensors_in(path))


def _content(path: Path) -> Any:
    with path.open("rb") as file:
        head = file.read(8)
    if head.startswith(b"\x93NUMPY") or path.suffix == ".npz":
        loaded: Any = np.load(path, allow_pickle=False)
        return dict(loaded) if hasattr(loaded, "files") else loaded
    return torch.load(path, map_location="cpu", weights_only=True)


def _shapes_in_header(path: Path) -> list[tuple[int, ...]]:
    """Of a safetensors file: the length of a JSON header in 8 bytes, then the header."""
    with path.open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(size))
    return [tuple(entry["shape"]) for name, entry in header.items() if name != "__metadata__"]


def _flat(value: Any) -> Iterator[Any]:
    if isinstance(value, (torch.Tensor, np.ndarray)):
        yield value
    elif isinstance(value, dict):
        for part in value.values():
            yield from _flat(part)
    elif isinstance(value, (list, tuple)):
        for part in value:
            yield from _flat(part)
