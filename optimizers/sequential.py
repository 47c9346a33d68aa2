"""What is sequential tuning?  Several trainings one after the other, each from the first weights.

A self-tuning algorithm has more time than a tuned one; this spends it on points of a list.  Each
part has its own optimizer state, settings and schedule, whose steps count from its start; it ends
after its horizon, ceil(horizon_factor * step hint) steps, and the trial ends after the last part.
Running statistics go on from part to part.

Source: AlgoPerf's first competition (arXiv 2502.15015), entry "NAdamW Sequential".
"""

import math
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor

from algoperf_pt.errors import SubmissionError
from algoperf_pt.hparams import Hparams
from algoperf_pt.optimizer_submission import OptimizerSubmission
from algoperf_pt.submission import Metrics
from algoperf_pt.updates import Update, make_updates
from algoperf_pt.view import WorkloadView
from algoperf_pt.workload_data import Batch


class Sequential(OptimizerSubmission):
    """One part after the other.

    Args:
        parts: of each {"optimizer": settings over those of `optimizer`, "schedule": over those of
            `schedule`}; `horizon_factor` of the schedule says how long it lasts.
        settings: as of `OptimizerSubmission`.

    Raises:
        SubmissionError: no part.
    """

    def __init__(self, parts: Sequence[Mapping[str, Mapping[str, Any]]], **settings: Any) -> None:
        super().__init__(**settings)
        if not parts:
            raise SubmissionError(
                "Sequential has no part",
                expected="a list of {optimizer: ..., schedule: ...}",
                where="submission.options.parts",
            )
        self._parts = parts

    def setup(self, workload: WorkloadView, hparams: Hparams) -> None:  # type: ignore[override]
        super().setup(workload, hparams)
        self._workload = workload
        self._first = copies(self.parameters)
        factors = [part["schedule"].get("horizon_factor", 1.0) for part in self._parts]
        lengths = [math.ceil(factor * workload.spec.step_hint) for factor in factors]
        self._ends = list(accumulate(lengths))
        self._begin(0)

    def step(self, workload: WorkloadView, batch: Batch) -> Metrics:
        if workload.step == self._ends[self._part] and self._part + 1 < len(self._parts):
            with torch.no_grad():
                torch._foreach_copy_(self.parameters, self._first)
            self._begin(self._part + 1)
        metrics = super().step(workload, batch)
        self.done = workload.step + 1 >= self._ends[-1]
        return {**metrics, "part": self._part}

    def _begin(self, part: int) -> None:
        """New optimizers with the settings of a part; the parameters stay."""
        changes = self._parts[part]
        optimizer = {**self._optimizer, **changes["optimizer"]}
        schedule = {**(self._schedule or {}), **changes["schedule"]}
        others = (self._groups, self._others, self._given)
        start = self._ends[part - 1] if part else 0
        self.updates = delayed_updates(self._workload, optimizer, schedule, others, start)
        self.optimizer = self.updates[0].optimizer
        self._part = part

    def state_dict(self) -> dict[str, Any]:
        first: list[Tensor] = self._first
        return {**super().state_dict(), "part": self._part, "first": first}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._begin(state_dict["part"])
        self._first = [tensor.to(p) for tensor, p in zip(state_dict["first"], self.parameters)]
        super().load_state_dict(state_dict)


class Delayed:
    """A schedule that starts at a step of the trial."""

    def __init__(self, schedule: Any, start: int) -> None:
        self.schedule, self.start = schedule, start

    def __call__(self, step: int) -> float:
        factor: float = self.schedule(step - self.start)
        return factor


def copies(tensors: Sequence[Tensor]) -> list[Tensor]:
    """Of their values."""
    return [tensor.detach().clone() for tensor in tensors]


def delayed_updates(
    workload: WorkloadView,
    optimizer: Mapping[str, Any],
    schedule: Mapping[str, Any] | None,
    others: tuple[Any, ...],
    start: int,
) -> list[Update]:
    """New optimizers whose schedules count from the step `start` of the trial; `others` are the
    further arguments of `make_updates`.
    """
    updates = make_updates(workload, optimizer, schedule, *others)
    for update in updates:
        if update.schedule is not None:
            update.schedule = Delayed(update.schedule, start)
    return updates
