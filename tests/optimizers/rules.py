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

from optimizers.adafactor import Adafactor
from optimizers.adamg import AdamG
from optimizers.ademamix import AdEMAMix
from optimizers.archived_shampoo import ArchivedShampoo
from optimizers.cautious_nadamw import CautiousNAdamW
from optimizers.generalized_adam import GeneralizedAdam
from optimizers.lamb import LAMB
from optimizers.lion import Lion
from optimizers.muon import Muon
from optimizers.nadamw import NAdamW
from optimizers.newton_shampoo import NewtonShampoo
from optimizers.prodigy import ScheduleFreeProdigy
from optimizers.schedule_free import (
    ScheduleFreeAdamWV1,
    ScheduleFreeAdamWV2,
    WeightedScheduleFreeAdamW,
)
from optimizers.schedule_free_at_y import ScheduleFreeAdamWAtY
from optimizers.shampoo import Shampoo
from optimizers.soap import Soap


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
        rounding: of the parameters by a step without gradient and decay, relative.
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
    rounding: float = 1e-6

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

ADAFACTOR_CHANGES = {
    **{"lr": 0.03, "beta1": 0.8, "decay": 0.9, "eps": 0.1, "threshold": 0.5},
    "weight_decay": 0.2,
}
MIXED = {"lr": 0.02, "betas": (0.8, 0.99, 0.999), "alpha": 2.0, "weight_decay": 0.01}
MIXED_CHANGES = {
    **ADAM_CHANGES,
    **{"betas": (0.8, 0.99, 0.9), "alpha": 3.0, "beta3_warmup": 5, "alpha_warmup": 5},
}
ADAMG_CHANGES = {
    **{"lr": 0.1, "betas": (0.95, 0.999, 0.9), "eps": 0.1, "weight_decay": 0.2},
    **{"scale": 0.3, "power": 0.4},
}
GENERAL_CHANGES = {
    **{**ADAM_CHANGES, "nesterov": False, "power": 1.5, "disable_preconditioning": True},
}
PLAIN = {"lr": 0.02, "betas": (0.9, 0.0), "disable_preconditioning": True, "weight_decay": 0.01}

SHAMPOO = {
    **{"lr": 0.05, "betas": (0.9, 0.99), "epsilon": 1e-3, "weight_decay": 0.01, "momentum": 0.5},
    **{"precondition_frequency": 2, "max_preconditioner_dim": 8},
}
SHAMPOO_CHANGES = {
    **{"lr": 0.03, "betas": (0.8, 0.95), "epsilon": 0.1, "weight_decay": 0.2, "momentum": 0.9},
    **{"precondition_frequency": 3, "max_preconditioner_dim": 2, "start_preconditioning_step": 4},
    **{"inv_root_override": 3, "exponent_multiplier": 0.5, "grafting_type": "SGD"},
    **{"grafting_epsilon": 0.1, "use_normalized_grafting": True, "use_momentum": False},
    **{"use_nadam": False, "use_nesterov": False, "communication_dtype": "BF16"},
    "communicate_params": False,
}
SOAP = {"lr": 0.02, "betas": (0.9, 0.95, 0.9), "precondition_frequency": 2}
SOAP_CHANGES = {
    **{"lr": 0.03, "betas": (0.8, 0.9, 0.7), "eps": 0.1, "weight_decay": 0.2},
    **{"precondition_frequency": 3, "max_preconditioner_dim": 3, "merge_dims": 2},
}
SCALED = {"lr": 0.01, "betas": (0.9, 0.99), "weight_decay": 0.01}
SCALED_CHANGES = {"lr": 0.03, "betas": (0.8, 0.95), "weight_decay": 0.2}
NEWTON = {**SCALED, "start": 2, "every": 2}
NEWTON_CHANGES = {**SCALED_CHANGES, "start": 4, "every": 3}
MUON = {"lr": 0.05, "weight_decay": 0.01}
MUON_CHANGES = {
    **{"lr": 0.03, "beta": 0.8, "weight_decay": 0.2, "nesterov": False, "scale": "match_adam"},
    **{"ns_steps": 3, "ns_eps": 1.0, "ns_dtype": "float32"},
}

FREE = {"lr": 0.1, "betas": (0.9, 0.99), "weight_decay": 0.01}
FREE_CHANGES = {**ADAM_CHANGES, "r": 2.0, "weight_lr_power": 5.0}
AT_Y_CHANGES = {**ADAM_CHANGES, "weight_lr_power": 5.0, "lag": True}
PRODIGY = {"d0": 0.01, "weight_decay": 0.01}
PRODIGY_CHANGES = {
    **{"lr": 0.5, "betas": (0.8, 0.9), "eps": 0.1, "weight_decay": 0.2, "r": 2.0},
    **{"d0": 0.02, "d_coef": 2.0},
}

RULES = [
    Rule("nadamw", NAdamW, ADAM, ADAM_CHANGES),
    Rule("lamb", LAMB, ADAM, ADAM_CHANGES, by_element=False),
    Rule("adafactor", Adafactor, {"lr": 0.02}, ADAFACTOR_CHANGES, by_element=False),
    Rule("lion", Lion, {"lr": 0.01}, {"lr": 0.02, "betas": (0.8, 0.9), "weight_decay": 0.2}),
    Rule("ademamix", AdEMAMix, MIXED, MIXED_CHANGES),
    Rule("adamg", AdamG, {"lr": 1.0}, ADAMG_CHANGES),
    Rule("cautious_nadamw", CautiousNAdamW, ADAM, ADAM_CHANGES, by_element=False),
    Rule("generalized_adam", GeneralizedAdam, ADAM, GENERAL_CHANGES),
    Rule("nadamp", GeneralizedAdam, {**ADAM, "power": 1.5}, GENERAL_CHANGES | {"power": 2.0}),
    Rule(
        "generalized_adam_without_preconditioning",
        GeneralizedAdam,
        PLAIN,
        {**GENERAL_CHANGES, "disable_preconditioning": False},
        base={name: {"disable_preconditioning": False} for name in ("betas", "eps", "power")},
    ),
    Rule("torch_adam", torch.optim.Adam, {"lr": 0.02}),
    Rule("torch_adamw", torch.optim.AdamW, ADAM),
    Rule("torch_sgd", torch.optim.SGD, {"lr": 0.02, "momentum": 0.9}),
    Rule("torch_nesterov", torch.optim.SGD, {"lr": 0.02, "momentum": 0.9, "nesterov": True}),
    Rule("muon", Muon, MUON, MUON_CHANGES, by_element=False),
    Rule(
        "shampoo",
        Shampoo,
        SHAMPOO,
        SHAMPOO_CHANGES,
        base={"communicate_params": {"communication_dtype": "BF16"}},
        by_element=False,
    ),
    Rule("soap", Soap, SOAP, SOAP_CHANGES, by_element=False),
    Rule("newton_shampoo", NewtonShampoo, NEWTON, NEWTON_CHANGES, by_element=False),
    Rule("archived_shampoo", ArchivedShampoo, SCALED, SCALED_CHANGES, by_element=False),
    Rule("schedule_free_v1", ScheduleFreeAdamWV1, FREE, FREE_CHANGES),
    Rule("schedule_free_v2", ScheduleFreeAdamWV2, FREE, FREE_CHANGES),
    Rule(  # it keeps the first parameters in bfloat16
        "weighted_schedule_free", WeightedScheduleFreeAdamW, FREE, FREE_CHANGES, rounding=2**-8
    ),
    Rule("schedule_free_at_y", ScheduleFreeAdamWAtY, FREE, AT_Y_CHANGES),
    Rule("prodigy", ScheduleFreeProdigy, PRODIGY, PRODIGY_CHANGES, by_element=False),
]
