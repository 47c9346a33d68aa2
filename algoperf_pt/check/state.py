"""Has anything that a submission remembers changed?  Every value below an object, by its path, as a
short digest: tensors by their bits, whatever the nesting.
"""

import hashlib
import random
import sys
import types
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from algoperf_pt.check.frames import OWN, kind_of
from algoperf_pt.ranks import Ranks
from algoperf_pt.trial import Trial
from algoperf_pt.view import TimeView, WorkloadView
from algoperf_pt.workload import Workload
from algoperf_pt.workload_data import WorkloadData

# The harness's own objects, and what holds no state that could be read here.
_FOREIGN = (Trial, WorkloadView, TimeView, Workload, WorkloadData, Ranks)
_OPAQUE = (type, types.ModuleType, types.GeneratorType, types.FrameType, types.CodeType)
_PLAIN = (bool, int, float, complex, str, bytes, type(None))
_MOST = 200_000  # values of one photograph
_CHECK = "algoperf_pt.check."  # what looks on is no part of the picture

Photo = dict[str, str]  # path -> digest


def memory(submission: Any) -> dict[str, Any]:
    """Where a submission can remember something: itself, its classes, its modules' globals."""
    classes = [kind for kind in type(submission).__mro__ if _is_own(kind.__module__)]
    modules = [name for name in list(sys.modules) if _is_own(name)]
    return {
        "submission": vars(submission),
        "class": {kind.__name__: _values(vars(kind)) for kind in classes},
        "module": {name: _values(vars(sys.modules[name])) for name in modules},
    }


def _is_own(module: str) -> bool:
    file = getattr(sys.modules.get(module), "__file__", None)
    return file is not None and kind_of(file) == OWN


def _values(names: Mapping[str, Any]) -> dict[str, Any]:
    return {n: v for n, v in names.items() if not n.startswith("__") and not callable(v)}


def photograph(**roots: Any) -> Photo:
    """Path -> digest of everything that can be reached from the roots."""
    camera = _Camera()
    for name, root in roots.items():
        camera.take(name, root)
    return camera.photo


def changed(before: Photo, after: Photo) -> list[str]:
    """Paths of values that differ, are new or are gone."""
    return [p for p in {**before, **after} if before.get(p) != after.get(p)]


def digest(tensor: Tensor) -> str:
    """Of a tensor's dtype, shape and bits."""
    if tensor.is_meta or tensor.layout != torch.strided:
        return f"{tensor.dtype} {tuple(tensor.shape)} {tensor.layout}"
    found = hashlib.blake2b(f"{tensor.dtype}{tuple(tensor.shape)}".encode(), digest_size=8)
    flat = tensor.detach().contiguous().cpu().reshape(-1).view(torch.uint8)
    found.update(flat.numpy().tobytes())
    return found.hexdigest()


class _Camera:
    def __init__(self) -> None:
        self.photo: Photo = {}
        self._seen: dict[int, Any] = {}  # kept alive, or an id could be given again

    def take(self, path: str, value: Any) -> None:
        if len(self.photo) >= _MOST:
            return
        if isinstance(value, _PLAIN):
            self.photo[path] = f"{type(value).__name__} {value!r}"
        elif isinstance(value, (*_FOREIGN, *_OPAQUE)) or id(value) in self._seen:
            return
        elif str(getattr(value, "__module__", "")).startswith(_CHECK):
            return
        else:
            self._seen[id(value)] = value
            self._inside(path, value)

    def _inside(self, path: str, value: Any) -> None:
        if isinstance(value, Tensor):
            self.photo[path] = digest(value)
            if value.is_leaf and value.grad is not None:
                self.take(f"{path}.grad", value.grad)
        elif isinstance(value, np.ndarray):
            self.photo[path] = hashlib.blake2b(value.tobytes(), digest_size=8).hexdigest()
        elif isinstance(value, torch.Generator):
            self.photo[path] = digest(value.get_state())
        elif isinstance(value, random.Random):
            self.photo[path] = str(hash(value.getstate()))
        elif isinstance(value, np.random.Generator):
            self.photo[path] = repr(value.bit_generator.state)
        elif isinstance(value, Mapping):
            self._mapping(path, value)
        elif isinstance(value, (set, frozenset)):
            self.photo[path] = f"{len(value)} {sorted(map(repr, value))[:_MOST]}"
        elif isinstance(value, (list, tuple)) or type(value).__name__ == "deque":
            self._row(path, value)
        elif callable(value) and hasattr(value, "__code__"):
            self._function(path, value)
        else:
            self._object(path, value)

    def _mapping(self, path: str, value: Mapping[Any, Any]) -> None:
        self.photo[path] = f"{len(value)} entries"
        for number, (key, part) in enumerate(list(value.items())):
            name = key if isinstance(key, (str, int)) else f"#{number}"
            self.take(f"{path}[{name!r}]", part)

    def _row(self, path: str, value: Iterable[Any]) -> None:
        parts = list(value)
        self.photo[path] = f"{len(parts)} parts"
        for number, part in enumerate(parts):
            self.take(f"{path}[{number}]", part)

    def _function(self, path: str, value: Any) -> None:
        """What a function remembers in its cells."""
        for number, cell in enumerate(getattr(value, "__closure__", None) or ()):
            try:
                self.take(f"{path}.cell{number}", cell.cell_contents)
            except ValueError:  # not filled yet
                continue

    def _object(self, path: str, value: Any) -> None:
        if isinstance(value, types.MethodType):
            self.take(f"{path}.self", value.__self__)
        names = [n for kind in type(value).__mro__ for n in getattr(kind, "__slots__", ())]
        slots = {n: getattr(value, n, None) for n in names if isinstance(n, str) and n[:2] != "__"}
        for name, part in {**slots, **getattr(value, "__dict__", {})}.items():
            self.take(f"{path}.{name}", part)
