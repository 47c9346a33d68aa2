"""Which update rules are there, and with which settings are they tried?  Add yours to RULES: the
contract (test_contract.py) then holds for it.
"""

import inspect
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from optimizers.nadamw import NAdamW


@dataclass(frozen=True)
class Rule:
    """An update rule under test.

    Args:
        name: of the test.
        kind: its class.
        settings: with which it descends on a quadratic within `steps`.
        changes: for each argument of the constructor another value; every one must change
            something.  Left out: `params` and `foreach`.
        base: settings with which each of `changes` shows, over `settings` (a switch that another
            argument needs).
        steps: of the descent.
        descent: share of the first loss that is left at most.
        by_element: whether an element's update depends on no other element.
        skips: whether a parameter without a gradient stays as it is, and gets no state.
    """

    name: str
    kind: type[Optimizer]
    settings: dict[str, Any]
    changes: dict[str, Any] = field(default_factory=dict)
    base: dict[str, dict[str, Any]] = field(default_factory=dict)  # argument -> settings
    steps: int = 200
    descent: float = 0.1
    by_element: bool = True
    skips: bool = True

    def build(self, params: Iterable[Tensor], **more: Any) -> Optimizer:
        """An optimizer over copies of `params` that need gradients."""
        copies = [p.detach().clone().requires_grad_() for p in params]
        return self.kind(copies, **{**self.settings, **more})  # type: ignore[call-arg]

    @property
    def ours(self) -> bool:
        """Whether it is a class of this project; torch's own are trusted with corner cases."""
        return self.kind.__module__.startswith("optimizers.")

    @property
    def needs_closure(self) -> bool:
        """Whether `step` must be given a closure."""
        closure = inspect.signature(self.kind.step).parameters["closure"]
        return closure.default is inspect.Parameter.empty

    @property
    def arguments(self) -> set[str]:
        """Of the constructor, but for the parameters and the choice of the form."""
        return set(inspect.signature(self.kind).parameters) - {"params", "foreach"}


ADAM = {"lr": 0.02, "betas": (0.9, 0.99), "weight_decay": 0.01}
ADAM_CHANGES = {"lr": 0.03, "betas": (0.8, 0.95), "eps": 0.1, "weight_decay": 0.2}

RULES = [
    Rule("nadamw", NAdamW, ADAM, ADAM_CHANGES),
    Rule("torch_adam", torch.optim.Adam, {"lr": 0.02}),
    Rule("torch_adamw", torch.optim.AdamW, ADAM),
    Rule("torch_sgd", torch.optim.SGD, {"lr": 0.02, "momentum": 0.9}),
    Rule("torch_nesterov", torch.optim.SGD, {"lr": 0.02, "momentum": 0.9, "nesterov": True}),
]
