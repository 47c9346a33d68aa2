"""What may a submission see and call?  A read-only view of the workload and of time; the rest is
the harness's.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from copy import deepcopy
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn

from algoperf_pt.ranks import Ranks
from algoperf_pt.roles import ParamType
from algoperf_pt.seeds import derive
from algoperf_pt.spec import WorkloadSpec
from algoperf_pt.workload import Loss, Workload
from algoperf_pt.workload_data import Batch


class Engine:
    """How the harness runs a forward and a backward pass: the Fabric-wrapped module, or the module
    under L.Trainer.

    Args:
        forward: called as the workload's forward.
        backward: called with a scalar loss; averages gradients over ranks.
        no_sync: context in which backward passes only accumulate locally.
    """

    def __init__(
        self,
        forward: Callable[..., Any],
        backward: Callable[[Tensor], None],
        no_sync: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        self.forward, self.backward, self.no_sync = forward, backward, no_sync


class TimeView:
    """Elapsed time, budget and past evaluations, as all ranks agreed on them.  Seconds of the timed
    clock.
    """

    __slots__ = ("__budget", "__elapsed", "__evaluations")

    def __init__(
        self,
        budget: float,
        elapsed: Callable[[], float],
        evaluations: Callable[[], list[dict[str, float]]],
    ) -> None:
        self.__budget, self.__elapsed, self.__evaluations = budget, elapsed, evaluations

    @property
    def budget(self) -> float:
        """Seconds that the trial may take."""
        return self.__budget

    @property
    def elapsed(self) -> float:
        """Seconds at the end of the last step, equal on all ranks."""
        return self.__elapsed()

    @property
    def remaining(self) -> float:
        """Seconds left, not below 0."""
        return max(0.0, self.__budget - self.__elapsed())

    @property
    def evaluations(self) -> list[dict[str, float]]:
        """Rows of all evaluations so far (a copy): metrics, global_step, accumulated times."""
        return deepcopy(self.__evaluations())


class WorkloadView:
    """The workload as a submission gets it.  Attributes cannot be set.

    Args:
        workload: the training module.
        engine: how passes are run.
        ranks: the ranks of this trial.
        time: the read-only clock.
        seed: of the stream "submission".
        step: returns the number of steps done.
        wants_metrics: returns whether this step's metrics will be written.
        evaluate: evaluates the current parameters on a split.
    """

    __slots__ = tuple(
        f"_WorkloadView__{name}"
        for name in (
            "workload",
            "engine",
            "ranks",
            "time",
            "seed",
            "step",
            "wants_metrics",
            "evaluate",
        )
    )

    def __init__(
        self,
        workload: Workload,
        engine: Engine,
        ranks: Ranks,
        time: TimeView,
        seed: int,
        step: Callable[[], int],
        wants_metrics: Callable[[], bool],
        evaluate: Callable[[str], dict[str, float]],
    ) -> None:
        self.__workload, self.__engine, self.__ranks = workload, engine, ranks
        self.__time, self.__seed, self.__step = time, seed, step
        self.__wants_metrics, self.__evaluate = wants_metrics, evaluate

    # ---- facts

    @property
    def spec(self) -> WorkloadSpec:
        """Targets, budget, step hint, batch sizes, split sizes."""
        return self.__workload.spec

    @property
    def time(self) -> TimeView:
        """Elapsed time, budget, past evaluations."""
        return self.__time

    @property
    def step(self) -> int:
        """Updates done so far (0 in the first)."""
        return self.__step()

    @property
    def device(self) -> torch.device:
        """Where this rank's parameters and batches are."""
        return self.__ranks.device

    @property
    def rank(self) -> int:
        """This rank's number."""
        return self.__ranks.rank

    @property
    def world_size(self) -> int:
        """Number of ranks."""
        return self.__ranks.world

    @property
    def model(self) -> nn.Module:
        """The live training module: parameters may be updated in place, not replaced, frozen or
        resized.
        """
        return self.__workload.model

    @property
    def param_types(self) -> Mapping[str, ParamType]:
        """Parameter name -> declared type."""
        return MappingProxyType(self.__workload.param_types)

    @property
    def output_params(self) -> tuple[str, ...]:
        """Names of the output layer's parameters."""
        return self.__workload.output_params

    @property
    def wants_metrics(self) -> bool:
        """Whether this step's metrics will be written, so costly ones can be left out otherwise."""
        return self.__wants_metrics()

    def parameters(self) -> Iterator[nn.Parameter]:
        """The model's parameters, in registration order."""
        return self.__workload.model.parameters()

    def named_parameters(self) -> Iterator[tuple[str, nn.Parameter]]:
        """(name, parameter) of the model, in registration order."""
        return self.__workload.model.named_parameters()

    def generator(self, name: str = "", device: str = "cpu") -> torch.Generator:
        """A generator seeded by (trial seed, "submission", name, step): the same again after a
        resume.
        """
        seed = derive(self.__seed, "submission", name, self.step)
        return torch.Generator(device).manual_seed(seed)

    # ---- work (all of it on the clock)

    def forward(
        self, batch: Batch, dropout_rate: float | None = None, update_batch_norm: bool = True
    ) -> Any:
        """Training-mode outputs of the model.  `dropout_rate` may differ at every call; None: the
        default.
        """
        return self.__engine.forward(
            batch, dropout_rate=dropout_rate, update_batch_norm=update_batch_norm
        )

    def loss(self, batch: Batch, logits: Any, label_smoothing: float = 0.0) -> Loss:
        """The workload's loss of this rank's part of the batch, not reduced over ranks."""
        return self.__workload.loss(batch, logits, label_smoothing)

    def mean_loss(self, loss: Loss) -> Tensor:
        """The scalar to differentiate: its averaged gradient is that of (sum over ranks) / (valid
        over ranks).

        On one rank it is the mean loss; on several, its mean over ranks is.
        """
        if self.__ranks.world == 1:
            return loss.summed / loss.n_valid
        n_valid = self.__ranks.sum_(loss.n_valid.detach().clone())
        return loss.summed * (self.__ranks.world / n_valid)

    def backward(self, loss: Tensor) -> None:
        """Add the gradient of `loss`, averaged over ranks, to `.grad`."""
        self.__engine.backward(loss)

    def no_sync(self) -> AbstractContextManager[None]:
        """In it backward passes accumulate on this rank only (gradient accumulation)."""
        return self.__engine.no_sync()

    def evaluate(self, split: str) -> dict[str, float]:
        """Metrics of the current parameters on "train" or "validation", on the clock, on all ranks
        together.
        """
        return self.__evaluate(split)
