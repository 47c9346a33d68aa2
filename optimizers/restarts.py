"""What is tuning on the clock?  Several learning rates are tried for a share of the training each,
from the first weights, and the training goes on from the best of them.

An attempt is judged by its training loss: the mean over its last steps.  One whose loss is not
finite ends at once.  Attempts have fresh optimizers and a schedule that counts their own steps;
the best goes on with its optimizer state, its running statistics and its schedule, so that the
others cost their steps and nothing else.

An example of inner-loop tuning, which the rules for self-tuning allow (arXiv 2306.07179, section
4.4); no published algorithm.
"""

import copy
import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from algoperf_pt.errors import SubmissionError
from algoperf_pt.hparams import Hparams
from algoperf_pt.optimizer_submission import OptimizerSubmission
from algoperf_pt.submission import Metrics
from algoperf_pt.view import WorkloadView
from algoperf_pt.workload_data import Batch
from optimizers.sequential import copies, delayed_updates


class Restarts(OptimizerSubmission):
    """Learning rates in turn, then the best one.

    Args:
        rates: peak learning rates, in the order in which they are tried.
        share: steps of an attempt as a share of the step hint, rounded up.
        judged: share of an attempt, at its end, over which the training loss is averaged.
        settings: as of `OptimizerSubmission`; `optimizer.lr` is replaced, and no `average` is kept.

    Raises:
        SubmissionError: no rate, or a share that is not between 0 and 1.
    """

    def __init__(
        self, rates: Sequence[float], share: float, judged: float = 0.5, **settings: Any
    ) -> None:
        super().__init__(**settings)
        for name, value in (("share", share), ("judged", judged)):
            if not 0 < value <= 1:
                _refuse(name, value, "a share above 0 and up to 1")
        if not rates or any(not rate > 0 for rate in rates):
            _refuse("rates", rates, "a list of at least one learning rate above 0")
        if self._average is not None:
            _refuse("average", self._average, "none: it would mix attempts", "submission.average")
        self._rates, self._share, self._judged_share = list(rates), share, judged

    def setup(self, workload: WorkloadView, hparams: Hparams) -> None:  # type: ignore[override]
        super().setup(workload, hparams)
        self._workload = workload
        self._length = math.ceil(self._share * workload.spec.step_hint)
        self._first: list[Tensor] | None = copies(self.parameters)
        self._first_buffers: list[Tensor] | None = copies(self._buffers())
        self._best: dict[str, Any] | None = None
        self._best_buffers: list[Tensor] | None = None
        self._best_loss = math.inf
        self._begin(0, 0)

    def step(self, workload: WorkloadView, batch: Batch) -> Metrics:
        if self._first is not None and workload.step == self._start + self._length:
            self._judge(sum(self._losses) / len(self._losses))
            self._go_on(workload.step)
        metrics = super().step(workload, batch)
        return metrics if self._first is None else self._watched(metrics, workload.step)

    def _watched(self, metrics: Metrics, step: int) -> Metrics:
        """Keep the loss; leave a diverged attempt.  A look at the loss in every step of the search,
        equal on all ranks.
        """
        loss, number = self._mean_over_ranks(metrics["loss"]), self._attempt
        if math.isfinite(loss):
            if step >= self._start + self._length - max(1, self._judged_share * self._length):
                self._losses.append(loss)
            return {**metrics, "attempt": number}
        if number + 1 == len(self._rates) and self._best is None:
            self._first = self._first_buffers = None  # nothing is left to try
            return metrics  # whose loss ends the trial as diverged
        self._go_on(step + 1)
        return {"lr": metrics["lr"], "attempt": number}

    def _judge(self, loss: float) -> None:
        if loss < self._best_loss:
            state = copy.deepcopy(super().state_dict())
            self._best = {"parameters": copies(self.parameters), "state": state}
            self._best |= {"attempt": self._attempt}
            self._best_buffers, self._best_loss = copies(self._buffers()), loss

    def _go_on(self, step: int) -> None:
        """The next attempt or, after the last, the best one, from `step` on."""
        if self._attempt + 1 < len(self._rates):
            self._put(self._first, self._first_buffers)
            self._begin(self._attempt + 1, step)
            return
        best, buffers = self._best, self._best_buffers
        assert best is not None
        self._put(best["parameters"], buffers)
        self._begin(best["attempt"], step - self._length)
        super().load_state_dict(best["state"])
        self._first = self._first_buffers = self._best = self._best_buffers = None

    def _begin(self, attempt: int, start: int) -> None:
        """Fresh optimizers at the rate of an attempt, whose first step is, or was, `start`."""
        optimizer = {**self._optimizer, "lr": self._rates[attempt]}
        parts = (self._groups, self._others, self._given)
        self.updates = delayed_updates(self._workload, optimizer, self._schedule, parts, start)
        self.optimizer = self.updates[0].optimizer
        self._attempt, self._start, self._losses = attempt, start, list[float]()

    @torch.no_grad()
    def _put(self, parameters: list[Tensor] | None, buffers: list[Tensor] | None) -> None:
        assert parameters is not None and buffers is not None
        for to, source in zip([*self.parameters, *self._buffers()], [*parameters, *buffers]):
            to.copy_(source)

    def _buffers(self) -> list[Tensor]:
        """Running statistics, which may differ between ranks."""
        return list(self._workload.model.buffers())

    def _mean_over_ranks(self, loss: Tensor) -> float:
        if self._workload.world_size > 1:
            loss = loss.detach().clone()
            dist.all_reduce(loss)
            loss /= self._workload.world_size
        return float(loss)

    def state_dict(self) -> dict[str, Any]:
        search = {
            "attempt": self._attempt,
            "start": self._start,
            "losses": list(self._losses),
            "first": self._first,
            "best": self._best,
            "best_loss": self._best_loss,
        }
        return {**super().state_dict(), "search": search}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        search = state_dict["search"]
        self._begin(search["attempt"], search["start"])
        self._losses, self._best_loss = list(search["losses"]), search["best_loss"]
        self._first, self._best = search["first"], search["best"]
        super().load_state_dict(state_dict)

    def rank_state_dict(self) -> dict[str, Any]:
        return {"first": self._first_buffers, "best": self._best_buffers}

    def load_rank_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._first_buffers, self._best_buffers = state_dict["first"], state_dict["best"]


def _refuse(name: str, value: Any, expected: str, where: str = "") -> None:
    raise SubmissionError(
        f"Restarts: {name} is {value!r}",
        expected=expected,
        where=where or f"submission.options.{name}",
    )
