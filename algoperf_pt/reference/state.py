"""How is an optimizer state saved that may hold anything?  As tensors and plain values, each in a
form from which the freshly made state is filled again.

Objects give and take their own `state_dict`; functions and classes belong to the code and are not
saved; what can be neither is an error that names its key.
"""

from collections import Counter, OrderedDict, deque
from collections.abc import Callable
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.optim import Optimizer

from algoperf_pt.errors import SubmissionError

_KIND = "__kind__"  # marks what is not its own form: {_KIND: name, "value": ...}
_PLAIN = (type(None), bool, int, float, complex, str, bytes, torch.dtype, torch.device)
_CODE = (FunctionType, BuiltinFunctionType, MethodType, ModuleType, type)


def encode(value: Any, device: torch.device, where: str = "optimizer_state") -> Any:
    """`value` as tensors and plain values.

    Args:
        value: anything that a submission keeps.
        device: on which it trains; tensors of other devices are marked.
        where: how the error names the place.
    """
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, _PLAIN):
        return value
    if isinstance(value, Tensor):
        tensor = value.detach()
        return tensor if tensor.device.type == device.type else _marked("host", tensor)
    if isinstance(value, np.ndarray) and value.dtype.kind in "biuf":
        return _marked("array", torch.from_numpy(value.copy()))
    if isinstance(value, torch.Generator):
        return _marked("generator", value.get_state())
    if isinstance(value, _CODE):
        return _marked("code", None)
    if hasattr(value, "state_dict") and hasattr(value, "load_state_dict"):
        return _encode_object(value, device, where)
    return _encode_container(value, device, where)


def _encode_object(value: Any, device: torch.device, where: str) -> Any:
    state = value.state_dict()
    if isinstance(value, Optimizer):
        numbers = {id(p): number for number, p in enumerate(_parameters(value))}
        state = {**state, "param_groups": _numbered(state["param_groups"], numbers)}
    found = _marked("object", encode(state, device, f"{where}.state_dict()"))
    if isinstance(value, Optimizer):  # a wrapper such as SAM leaves out the one inside
        inner = {n: o for n, o in vars(value).items() if isinstance(o, Optimizer)}
        found["inner"] = {n: _encode_object(o, device, f"{where}.{n}") for n, o in inner.items()}
    return found


def _encode_container(value: Any, device: torch.device, where: str) -> Any:
    if isinstance(value, dict):
        kind = type(value) if type(value) in (OrderedDict, Counter) else dict
        found = {
            _key(key, where): encode(entry, device, f"{where}[{key!r}]")
            for key, entry in value.items()
        }
        return kind(found)
    if isinstance(value, (list, tuple, set, frozenset, deque)):
        entries = [encode(entry, device, f"{where}[{n}]") for n, entry in enumerate(value)]
        if isinstance(value, list):
            return entries
        if isinstance(value, tuple):
            return tuple(entries)
        name = "deque" if isinstance(value, deque) else type(value).__name__
        return _marked(name, entries, maxlen=getattr(value, "maxlen", None))
    raise SubmissionError(
        f"{where} is of the class {type(value).__name__}: it cannot be saved",
        expected="tensors, plain values, or objects with state_dict and load_state_dict",
        where="what init_optimizer_state or update_params returned",
        fix=f"give the class {type(value).__name__} state_dict() and load_state_dict(state)",
    )


def _parameters(optimizer: Optimizer) -> list[Tensor]:
    return [p for group in optimizer.param_groups for p in group["params"]]


def _numbered(value: Any, numbers: dict[int, int]) -> Any:
    """`value` of a parameter group with numbers for parameters, such as in buckets by shape.

    Args:
        numbers: of the optimizer's parameters, by `id`.
    """
    if isinstance(value, Tensor) and id(value) in numbers:
        return _marked("parameter", numbers[id(value)])
    return _mapped(value, lambda entry: _numbered(entry, numbers))


def _filled(value: Any, parameters: list[Tensor]) -> Any:
    """What `_numbered` was given, with other parameters."""
    if _is(value, "parameter"):
        return parameters[value["value"]]
    return _mapped(value, lambda entry: _filled(entry, parameters))


def _mapped(value: Any, function: Callable[[Any], Any]) -> Any:
    if type(value) is dict:
        return {key: function(entry) for key, entry in value.items()}
    if type(value) in (list, tuple):
        return type(value)(function(entry) for entry in value)
    return value


def _marked(kind: str, value: Any, **more: Any) -> dict[str, Any]:
    return {_KIND: kind, "value": value, **more}


def _key(key: Any, where: str) -> Any:
    if isinstance(key, (str, int, float, bool, tuple)):
        return key
    raise SubmissionError(
        f"{where} has a key of type {type(key).__name__}: it cannot be saved",
        expected="keys that are strings or numbers",
    )


def decode(saved: Any, device: torch.device) -> Any:
    """What `encode` was given, where that does not need an object of the submission's."""
    if isinstance(saved, Tensor):
        return saved.to(device)
    if isinstance(saved, dict) and _KIND in saved:
        return _decode_marked(saved, device)
    if isinstance(saved, dict):
        kept = {key: entry for key, entry in saved.items() if not _is(entry, "code")}
        return type(saved)({key: decode(entry, device) for key, entry in kept.items()})
    if isinstance(saved, (list, tuple)):
        return type(saved)(decode(entry, device) for entry in saved)
    return saved


def _decode_marked(saved: dict[str, Any], device: torch.device) -> Any:
    kind, value = saved[_KIND], saved["value"]
    if kind == "parameter":
        return saved  # its optimizer knows which
    if kind == "host":
        return value
    if kind == "array":
        return value.numpy()
    if kind in ("object", "generator", "code"):
        raise SubmissionError(
            "a checkpoint holds an object that init_optimizer_state does not make",
            expected="every object of the optimizer state to be there from the start",
            fix="make it in init_optimizer_state",
        )
    entries = [decode(entry, device) for entry in value]
    if kind == "deque":
        return deque(entries, maxlen=saved["maxlen"])
    return set(entries) if kind == "set" else frozenset(entries)


def restore(fresh: Any, saved: Any, device: torch.device) -> Any:
    """`saved` (of `encode`) put into `fresh`, in place where it can be."""
    if _is(saved, "object") and hasattr(fresh, "load_state_dict"):
        _restore_object(fresh, saved, device)
        return fresh
    if _is(saved, "generator") and isinstance(fresh, torch.Generator):
        fresh.set_state(saved["value"])
        return fresh
    if _is(saved, "code"):
        return fresh
    if isinstance(saved, dict) and _KIND not in saved and isinstance(fresh, dict):
        found = {key: restore(fresh.get(key), entry, device) for key, entry in saved.items()}
        fresh.clear()
        fresh.update(found)
        return fresh
    same = isinstance(fresh, type(saved)) and isinstance(saved, (list, tuple))
    if same and len(fresh) == len(saved):
        entries = [restore(old, entry, device) for old, entry in zip(fresh, saved)]
        named = hasattr(fresh, "_fields")
        return type(fresh)(*entries) if named else type(fresh)(entries)
    if isinstance(saved, Tensor) and isinstance(fresh, Tensor) and _alike(saved, fresh):
        fresh.data.copy_(saved)
        return fresh
    return decode(saved, device)


def _restore_object(fresh: Any, saved: dict[str, Any], device: torch.device) -> None:
    state = decode(saved["value"], device)
    inner = {name: getattr(fresh, name) for name in saved.get("inner", ())}
    shared = [name for name, part in inner.items() if part.param_groups is fresh.param_groups]
    fresh.load_state_dict(state)
    if isinstance(fresh, Optimizer):
        for group in fresh.param_groups:
            group |= _filled(group, _parameters(fresh))
        _restore_dtypes(fresh, state)
    for name, part in inner.items():
        _restore_object(part, saved["inner"][name], device)
        if name in shared:  # what a schedule sets in the one holds in the other
            part.param_groups = fresh.param_groups


def _restore_dtypes(optimizer: Optimizer, state: dict[str, Any]) -> None:
    """torch casts an optimizer's state to its parameters' dtype; a bfloat16 moment stays one."""
    parameters = _parameters(optimizer)
    numbers = [n for group in state.get("param_groups", ()) for n in group["params"]]
    for number, parameter in zip(numbers, parameters):
        for name, value in state["state"].get(number, {}).items():
            now = optimizer.state[parameter].get(name)
            if isinstance(value, Tensor) and isinstance(now, Tensor) and now.dtype != value.dtype:
                optimizer.state[parameter][name] = value


def _is(saved: Any, kind: str) -> bool:
    return isinstance(saved, dict) and saved.get(_KIND) == kind


def _alike(a: Tensor, b: Tensor) -> bool:
    return a.shape == b.shape and a.dtype == b.dtype
