"""Does a whole submission train as its published run did?  It is composed from its YAML as a user
composes it and steps on the golden problem through the real WorkloadView.

    found = run("nadamw", {"learning_rate": 0.02, ...}, step_hint=41)
    problem.largest_error("sub_nadamw", found)

Shapes: N = 8 examples, C = 3 classes.
"""

import copy
import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from omegaconf import OmegaConf
from torch import Tensor, nn
from torch.nn import functional as F

from algoperf_pt.assemble import make_submission
from algoperf_pt.config import compose_config, register_resolvers
from algoperf_pt.hparams import Hparams
from algoperf_pt.ranks import Ranks
from algoperf_pt.roles import ParamType
from algoperf_pt.spec import WorkloadSpec, make_spec
from algoperf_pt.submission import Submission
from algoperf_pt.view import Engine, TimeView, WorkloadView
from algoperf_pt.workload import EvalOutput, Loss, Workload
from scripts.choices import read_node
from tests.optimizers import problem
from tests.support.runs import assert_same

FOLDER = Path(__file__).parents[2] / "conf" / "submission"
# the budget that the published runs of the golden file were told, s
BUDGET = {"max_runtime": 410.0, "budget_factor": 1.0, "eval_period": 80.0}


class Network(nn.Module):
    """The six parameters under their golden names; [N, 2, 5, 5] to [N, C]."""

    param_roles = {
        "conv": ParamType.CONV_WEIGHT,
        "w1": ParamType.WEIGHT,
        "b1": ParamType.BIAS,
        "g": ParamType.LAYER_NORM_SCALE,
        "w2": ParamType.WEIGHT,
        "b2": ParamType.BIAS,
    }

    def __init__(self, batch_norm: bool) -> None:
        super().__init__()
        for name, tensor in problem.parameters().items():
            self.register_parameter(name, nn.Parameter(tensor.detach()))
        if batch_norm:
            self.norm = nn.BatchNorm1d(6, affine=False)
        self.batch_norm = batch_norm

    def forward(self, x: Tensor) -> Tensor:
        h = torch.tanh(F.conv2d(x, self.conv))  # [N, 4, 3, 3]
        h = F.avg_pool2d(h, 2, stride=1).flatten(1)  # [N, 16]
        if self.batch_norm:
            h = self.norm(F.linear(h, self.w1)) * self.g + self.b1
        else:
            h = F.layer_norm(F.linear(h, self.w1, self.b1), (6,), eps=1e-5) * self.g
        return F.linear(torch.tanh(h), self.w2, self.b2)  # [N, C]


class Golden(Workload):
    """The golden problem; `losses` holds the mean loss of every pass."""

    output_params = ("w2", "b2")

    def __init__(self, spec: WorkloadSpec, batch_norm: bool) -> None:
        super().__init__(spec, SimpleNamespace(), {"batch_norm": batch_norm})  # type: ignore
        self.losses: list[float] = []

    def build_model(self, batch_norm: bool) -> nn.Module:  # type: ignore[override]
        return Network(batch_norm)

    def reset_parameters(self, generator: torch.Generator) -> None:
        """The start values are fixed."""

    def loss(self, batch: dict[str, Tensor], logits: Tensor, label_smoothing: float = 0.0) -> Loss:
        rows = F.cross_entropy(
            logits, batch["targets"], label_smoothing=label_smoothing, reduction="none"
        )
        self.losses.append(rows.mean().item())
        return Loss(rows.sum(), torch.tensor(float(len(rows))), rows)

    def eval_step(self, batch: dict[str, Tensor]) -> EvalOutput:
        raise NotImplementedError

    def metrics(self, split: str, sums: dict[str, float], rows: Any) -> dict[str, float]:
        raise NotImplementedError


class Run:
    """One trial on the golden problem.

    Args:
        name: of conf/submission/<name>.yaml.
        hparams: replace those of the YAML; values may be changed in `config` before `start`.
        step_hint: steps.
        batch_norm: the variant with running statistics.
        overrides: further ones, as on the command line.
    """

    def __init__(
        self,
        name: str,
        hparams: Mapping[str, Any] | None = None,
        step_hint: int = 41,
        batch_norm: bool = False,
        overrides: tuple[str, ...] = (),
    ) -> None:
        self.config = composed(name, hparams, overrides)
        spec = dataclasses.replace(make_spec(self.config), step_hint=step_hint, **BUDGET)
        self.workload = Golden(spec, batch_norm).train()
        self.step_number, self.evaluations = 0, []  # type: ignore[var-annotated]
        self.seconds = 0.0  # what the submission's clock shows
        self.engine = Engine(self.workload, lambda loss: loss.backward())
        self.view = WorkloadView(
            self.workload,
            self.engine,
            Ranks(torch.device("cpu")),
            TimeView(spec.budget, lambda: self.seconds, lambda: self.evaluations),
            seed=0,
            step=lambda: self.step_number,
            wants_metrics=lambda: True,
            evaluate=lambda split: {},
        )
        self.submission: Submission = make_submission(self.config["submission"])
        values = self.config["submission"]
        self.hparams = Hparams(values["hparams"], set(values["read"]))
        self.submission.setup(self.view, self.hparams)
        self.batches = self.submission.select(batches())

    def step(self) -> dict[str, Any]:
        """One update; its metrics."""
        metrics = self.submission.step(self.view, next(self.batches))
        self.step_number += 1
        return metrics

    def parameters(self) -> dict[str, np.ndarray]:
        """Copies of the parameters by name."""
        named = self.workload.model.named_parameters()
        return {name: p.detach().numpy().copy() for name, p in named}

    def rates(self) -> list[float]:
        """The learning rate of every group of every optimizer."""
        updates = self.submission.updates  # type: ignore[attr-defined]
        return [group["lr"] for update in updates for group in update.optimizer.param_groups]


def assert_resumes(make: Callable[[], Run], at: int, steps: int) -> None:
    """A trial that is saved after `at` steps and goes on as another one ends, after `steps`, as one
    that was never interrupted.
    """
    whole, first, second = make(), make(), make()
    for trial, count in ((whole, steps), (first, at)):
        for _ in range(count):
            trial.step()
    second.workload.load_state_dict(first.workload.state_dict())
    second.submission.load_state_dict(first.submission.state_dict())
    second.submission.load_rank_state_dict(first.submission.rank_state_dict())
    second.step_number = at
    for _ in range(at):
        next(second.batches)
    for _ in range(steps - at):
        second.step()
    assert_same(whole.submission.state_dict(), second.submission.state_dict())
    assert_same(whole.submission.rank_state_dict(), second.submission.rank_state_dict())
    assert_same(dict(whole.workload.state_dict()), dict(second.workload.state_dict()))


def composed(
    name: str, hparams: Mapping[str, Any] | None = None, overrides: tuple[str, ...] = ()
) -> dict[str, Any]:
    """The checked configuration of a submission, at its own or at another point."""
    own: Any = OmegaConf.to_container(node(name).get("hparams", OmegaConf.create()))
    values = {**own, **(hparams or {})}.items()
    point = [f"submission.hparams.{key}={value!r}" for key, value in values if value != "???"]
    command = ["workload=digits", f"submission={name}", *point, *overrides]
    if node(name).tuning == "self":
        command.append("ruleset=self_tuning")
    return copy.deepcopy(_compose(tuple(command)))


@functools.cache
def _compose(command: tuple[str, ...]) -> dict[str, Any]:
    return compose_config(list(command), needs_data=False)


def node(name: str) -> Any:
    """A submission's YAML with the ones that it builds on, not resolved."""
    return read_node(FOLDER, name)


def load(name: str, hparams: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """A submission's YAML, at its own or at another point, resolved without the rest of the
    configuration: quickly.
    """
    register_resolvers()
    config = OmegaConf.create({"submission": node(name)})
    config.submission.hparams = {**config.submission.get("hparams", {}), **(hparams or {})}
    if OmegaConf.is_missing(config.submission.optimizer, "_target_"):
        config.submission.optimizer._target_ = "torch.optim.Adam"
    resolved: Any = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    submission: dict[str, Any] = resolved["submission"]
    return submission


def batches() -> Iterator[dict[str, Tensor]]:
    """The endless stream of the golden batches."""
    step = 0
    while True:
        inputs, targets = problem.batch(step)
        yield {"inputs": inputs, "targets": targets, "weights": torch.ones(len(targets))}
        step += 1


def run(
    name: str,
    hparams: Mapping[str, Any] | None = None,
    step_hint: int = 41,
    batch_norm: bool = False,
    steps: int = 20,
    overrides: tuple[str, ...] = (),
) -> dict[str, np.ndarray]:
    """The trajectory with the golden file's keys: step<k>/<parameter>, loss, lr, statistics."""
    trial = Run(name, hparams, step_hint, batch_norm, overrides)
    seen: dict[str, Any] = {"loss": [], "lr": []}
    for step in range(1, steps + 1):
        trial.step()
        seen["loss"].append(trial.workload.losses[-1])
        seen["lr"].append(trial.rates())
        if step in problem.CHECKED_STEPS:
            seen |= {f"step{step}/{n}": values for n, values in trial.parameters().items()}
    seen |= {n: b.numpy().copy() for s in trial.workload.statistics() for n, b in s.items()}
    return {key: np.asarray(values) for key, values in seen.items()}


def run_case(
    case: str, name: str, renamed: Mapping[str, str] | None = None, overrides: tuple[str, ...] = ()
) -> dict[str, np.ndarray]:
    """`run` with the settings of a golden case.

    Args:
        case: key of optimizers_meta.json, of kind "submission".
        name: of our YAML.
        renamed: hyperparameter of the case -> override of ours, where it is none of `hparams`.
    """
    meta = problem.meta()[case]
    point = dict(meta["hyperparameters"] or {})
    moved = tuple(f"{key}={point.pop(old)}" for old, key in (renamed or {}).items())
    return run(
        name, point, meta["step_hint"], meta["bn"], meta["calls"], overrides=(*moved, *overrides)
    )
