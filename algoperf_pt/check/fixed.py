"""Are the functions that judge a submission still those that they were?  Identity and code of the
harness's, the workload's, torch's and numpy's functions, before the submission is imported and
after everything that it does.
"""

import builtins
import math
import sys
import time
import types
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch._dynamo  # it changes some of torch's functions when it is imported: before the look

from algoperf_pt.check.sources import HARNESS

CLOCK = ("time.", "sys.modules[time]")
# Modules whose public functions a trial uses; classes with their methods.
_MODULES = (
    *(torch, torch.nn.functional, torch.autograd, torch.nn.init, torch.linalg, torch.fft),
    *(torch.cuda, torch.distributed, torch.random),
)
_CLASSES = (torch.Tensor, torch.nn.Module, torch.nn.Parameter, torch.Generator)
_OTHERS = (builtins, time, math, np, np.linalg, np.random)
# torch.distributed.reduce_op warns when it is looked at; a module may be callable
_VARIABLE = (types.ModuleType, type(vars(torch.distributed).get("reduce_op")))
_KEPT = ("time", "torch", "numpy", "math", "algoperf_pt.trial", "algoperf_pt.integrity")


@dataclass(frozen=True)
class Facts:
    """One function: itself, its code by identity and by hash, and what its arguments default to."""

    function: Any
    code: Any
    hashed: int
    defaults: Any
    named: dict[str, Any]


class Functions:
    """All fixed functions as they are now."""

    def __init__(self) -> None:
        self._holders = dict(_holders())
        self._facts = {
            f"{where}.{name}": _facts(value)
            for where, holder in self._holders.items()
            for name, value in _callables(holder)
        }
        self._modules = {name: sys.modules.get(name) for name in _KEPT}

    def __len__(self) -> int:
        return len(self._facts)

    def replaced(self, thorough: bool = False) -> list[str]:
        """Names of functions that are others now.

        Args:
            thorough: hashes of code and keyword defaults too, not identities alone.
        """
        other = [n for n, module in self._modules.items() if sys.modules.get(n) is not module]
        found = [f"sys.modules[{name}]" for name in other]
        for where, holder in self._holders.items():
            here = vars(holder)
            for name in _names(holder):
                facts = self._facts.get(f"{where}.{name}")
                if facts is not None and not _same(here.get(name), facts, thorough):
                    found.append(f"{where}.{name}")
        return found


def shadowed(thing: Any) -> set[str]:
    """Methods of an object's class that the object hides by an attribute of its own."""
    own = getattr(thing, "__dict__", {})
    return {n for n, value in own.items() if callable(value) and hasattr(type(thing), n)}


def _holders() -> Iterator[tuple[str, Any]]:
    for module in (*_MODULES, *_OTHERS):
        yield module.__name__, module
    for kind in _CLASSES:
        yield f"torch.{kind.__name__}", kind
    for name, module in sorted(sys.modules.items()):
        if name.partition(".")[0] in HARNESS and not name.startswith("algoperf_pt.check"):
            yield name, module
            for key, value in list(vars(module).items()):
                if isinstance(value, type) and value.__module__ == name:
                    yield f"{name}.{key}", value


def _names(holder: Any) -> list[str]:
    return list(vars(holder))


def _callables(holder: Any) -> Iterator[tuple[str, Any]]:
    for name, value in list(vars(holder).items()):
        kinds = (staticmethod, classmethod, property)
        if isinstance(value, kinds) or (callable(value) and type(value) not in _VARIABLE):
            yield name, value


def _inner(value: Any) -> Any:
    if isinstance(value, property):
        return value.fget
    return getattr(value, "__func__", value)


def _facts(value: Any) -> Facts:
    inner = _inner(value)
    code, named = getattr(inner, "__code__", None), getattr(inner, "__kwdefaults__", None)
    defaults = getattr(inner, "__defaults__", None)
    return Facts(value, code, _hash(code), defaults, dict(named) if named else {})


def _hash(code: Any) -> int:
    return hash(code) if isinstance(code, types.CodeType) else 0


def _same(value: Any, facts: Facts, thorough: bool) -> bool:
    if value is not facts.function:
        return False
    inner = _inner(value)
    code = getattr(inner, "__code__", None)
    if code is not facts.code or getattr(inner, "__defaults__", None) is not facts.defaults:
        return False
    if not thorough:
        return True
    named = getattr(inner, "__kwdefaults__", None) or {}
    same = named.keys() == facts.named.keys() and all(named[k] is v for k, v in facts.named.items())
    return same and _hash(code) == facts.hashed
