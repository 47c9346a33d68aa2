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
_KEPT = ("time", "torch", "numpy", "math", "algoperf_pt.trial", "algoperf_pt.integrity")


@dataclass(frozen=True)
class Facts:
    """One function: itself, its code by identity and by hash, and what its arguments default to."""

    value: Any  # as it stands in its class or module
    inner: Any  # what a method, a property or a decorator's result calls; None: it has no code
    code: Any
    hashed: int
    defaults: Any
    named: dict[str, Any]


class Functions:
    """All fixed functions as they are now."""

    def __init__(self) -> None:
        self._holders = dict(_holders())
        self._facts = {
            where: {name: _facts(value) for name, value in _callables(holder)}
            for where, holder in self._holders.items()
        }
        self._modules = {name: sys.modules.get(name) for name in _KEPT}

    def __len__(self) -> int:
        return sum(map(len, self._facts.values()))

    def replaced(self, thorough: bool = False) -> list[str]:
        """Names of functions that are others now.

        Args:
            thorough: hashes of code and keyword defaults too, not identities alone.
        """
        other = [n for n, module in self._modules.items() if sys.modules.get(n) is not module]
        found = [f"sys.modules[{name}]" for name in other]
        for where, holder in self._holders.items():
            here = vars(holder)
            for name, facts in self._facts[where].items():
                if not _same(here.get(name), facts, thorough):
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


def _callables(holder: Any) -> Iterator[tuple[str, Any]]:
    for name, value in list(vars(holder).items()):
        kinds = (staticmethod, classmethod, property)
        if name == "reduce_op" or isinstance(value, types.ModuleType):
            continue  # it warns when it is looked at; a module may be callable
        if isinstance(value, kinds) or callable(value):
            yield name, value


def _facts(value: Any) -> Facts:
    inner = value.fget if isinstance(value, property) else getattr(value, "__func__", value)
    code = getattr(inner, "__code__", None)
    if not isinstance(code, types.CodeType):
        return Facts(value, None, None, 0, None, {})
    named = dict(getattr(inner, "__kwdefaults__", None) or {})
    defaults = getattr(inner, "__defaults__", None)
    return Facts(value, inner, code, hash(code), defaults, named)


def _same(value: Any, facts: Facts, thorough: bool) -> bool:
    if value is not facts.value:
        return False
    inner = facts.inner
    if inner is None:
        return True
    if inner.__code__ is not facts.code or inner.__defaults__ is not facts.defaults:
        return False
    if not thorough:
        return True
    named = inner.__kwdefaults__ or {}
    same = named.keys() == facts.named.keys() and all(named[k] is v for k, v in facts.named.items())
    return same and hash(inner.__code__) == facts.hashed
