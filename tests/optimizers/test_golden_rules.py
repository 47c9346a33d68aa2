"""Do update rules alone, at a constant learning rate, go the ways of the published classes?"""

import inspect
from functools import partial
from typing import Any

import pytest
import torch

from optimizers.adafactor import Adafactor
from optimizers.adamg import AdamG
from optimizers.ademamix import AdEMAMix
from optimizers.cautious_nadamw import CautiousNAdamW
from optimizers.generalized_adam import GeneralizedAdam
from optimizers.lamb import LAMB
from optimizers.lion import Lion
from optimizers.nadamw import NAdamW
from tests.optimizers import problem

LIMIT = 1e-5  # relative to the largest value of a tensor, after 20 steps in single precision
LIMITS = {"raw_adafactor": 3e-5}  # in double precision it lies half-way to the golden numbers

CASES: dict[str, Any] = {
    "raw_nadamw": NAdamW,
    "raw_nadamw_clip": NAdamW,
    "raw_adamw": torch.optim.AdamW,
    "raw_heavy_ball": torch.optim.SGD,
    "raw_nesterov": partial(torch.optim.SGD, nesterov=True),
    "raw_lamb": LAMB,
    "raw_adafactor": Adafactor,
    "raw_lion": Lion,
    "raw_ademamix": AdEMAMix,
    "raw_ademamix_nowarm": AdEMAMix,
    "raw_adamg": AdamG,
    "raw_cautious_nadamw": CautiousNAdamW,
    "raw_generalized_adam_precond": GeneralizedAdam,
    "raw_generalized_adam_noprecond": GeneralizedAdam,
    "raw_generalized_adam_no_nesterov": GeneralizedAdam,
    "raw_nadamp": GeneralizedAdam,
}
FORMS = [
    (case, foreach)
    for case, kind in CASES.items()
    for foreach in ((True, False) if "foreach" in inspect.signature(kind).parameters else (None,))
]


def settings(case: str) -> dict[str, Any]:
    """Constructor arguments of a case; files in JAX name the betas one by one."""
    kwargs = dict(problem.meta()[case]["kwargs"])
    if "b1" in kwargs:
        kwargs["betas"] = (kwargs.pop("b1"), kwargs.pop("b2"))
    return kwargs


@pytest.mark.parametrize("case, foreach", FORMS)
def test_golden(case: str, foreach: bool | None) -> None:
    meta = problem.meta()[case]
    form = {} if foreach is None else {"foreach": foreach}
    found = problem.train(
        partial(CASES[case], **settings(case), **form),
        label_smoothing=meta["label_smoothing"],
        grad_clip=meta.get("grad_clip"),
    )
    error = problem.largest_error(case, found)
    print(f"{case} foreach={foreach}: largest relative error {error:.1e}")
    assert error < LIMITS.get(case, LIMIT)
