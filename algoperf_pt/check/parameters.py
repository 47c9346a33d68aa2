"""Is the model still the workload's?  Its parameters, modules and their settings, after every call
of the submission; the harness itself looks at evaluations only.
"""

from typing import Any

from torch import nn

# What the harness itself sets in a pass, or what follows from training.
_FREE = {"training", "p", "momentum"}
_PLAIN = (bool, int, float, str, tuple, type(None))
_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


class Model:
    """A model as it is now.

    Args:
        model: the live training module.
    """

    def __init__(self, model: nn.Module) -> None:
        self._model = model
        self._parameters = dict(model.named_parameters())
        self._facts = {name: _facts(p) for name, p in self._parameters.items()}
        self._modules = {name: type(m) for name, m in model.named_modules()}
        self._settings = {name: _settings(m) for name, m in model.named_modules()}
        self._hooks = _hooks(model)

    def faults(self) -> list[str]:
        """What is wrong with parameters and modules, in words."""
        now = dict(self._model.named_parameters())
        found = [f"parameter {n!r} is gone" for n in self._parameters if n not in now]
        found += [f"parameter {n!r} was added" for n in now if n not in self._parameters]
        for name, p in now.items():
            known = self._parameters.get(name)
            if known is None:
                continue
            facts = _facts(p)
            if p is not known:
                found.append(f"parameter {name!r} was replaced by another tensor")
            if facts[0] != self._facts[name][0]:
                found.append(f"parameter {name!r} was resized to {list(facts[0])}")
            if facts[1] != self._facts[name][1]:
                found.append(f"parameter {name!r} became {facts[1]}")
            if facts[2] != self._facts[name][2]:
                found.append(f"parameter {name!r} was {'thawed' if p.requires_grad else 'frozen'}")
        return found + self._module_faults()

    def _module_faults(self) -> list[str]:
        found = []
        for name, module in self._model.named_modules():
            kind = self._modules.get(name)
            if kind is None:
                found.append(f"the module {name!r} was added")
            elif type(module) is not kind:
                found.append(f"the module {name!r} became a {type(module).__name__}")
            else:
                before, after = self._settings[name], _settings(module)
                changed = [k for k in before.keys() | after.keys() if before.get(k) != after.get(k)]
                found += [
                    f"{name or 'the model'}.{k}: {before.get(k)!r} -> {after.get(k)!r}"
                    for k in sorted(changed)
                ]
        gone = self._modules.keys() - dict(self._model.named_modules())
        return found + [f"the module {name!r} is gone" for name in sorted(gone)]

    def frozen(self) -> list[str]:
        """Names of parameters that would get no gradient in a pass now, but had one before."""
        frozen = [n for n, p in self._parameters.items() if not p.requires_grad]
        return [name for name in frozen if self._facts[name][2]]

    def hooked(self) -> list[str]:
        """Names of modules that carry hooks which they had not."""
        now = _hooks(self._model)
        return sorted(n or "the model" for n in now if now[n] > self._hooks.get(n, 0))


def _facts(p: nn.Parameter) -> tuple[tuple[int, ...], Any, bool]:
    return tuple(p.shape), p.dtype, p.requires_grad


def _settings(module: nn.Module) -> dict[str, Any]:
    """Plain attributes: sizes, epsilons, numbers of heads; a method that the object hides too."""
    own = {k: v for k, v in vars(module).items() if not k.startswith("_") and k not in _FREE}
    plain = {k: v for k, v in own.items() if isinstance(v, _PLAIN)}
    hidden = {k: "hidden" for k, v in own.items() if callable(v) and hasattr(type(module), k)}
    return {**plain, **{k: v for k, v in hidden.items() if not isinstance(own[k], nn.Module)}}


def _hooks(model: nn.Module) -> dict[str, int]:
    return {
        name: sum(len(getattr(module, hooks, None) or ()) for hooks in _HOOKS)
        for name, module in model.named_modules()
    }
