"""What is fixed about a workload?  A frozen record made from conf/workload, conf/targets and
conf/ruleset.
"""

import math
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Mapping

SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class WorkloadSpec:
    """The numbers of one workload under one benchmark version and rule set.  Times in seconds of
    the timed clock.
    """

    name: str
    version: str  # benchmark version whose targets these are
    metric: str  # name of the target metric, e.g. "accuracy"
    direction: str  # "max": higher is better; "min": lower is better
    strict: bool  # reached when strictly better than the target; else also when equal
    validation_target: float
    test_target: float | None  # None: the workload has no test target
    max_runtime: float  # s
    budget_factor: float  # 1 for external tuning; the rule set's for self-tuning
    eval_period: float  # s between evaluations
    step_hint: int  # steps that an algorithm may plan with
    num_examples: Mapping[
        str, int
    ]  # rows by split; "eval_train" is the part of train that is evaluated
    eval_batch_size: int  # global
    baseline_batch_size: int  # global
    loss_type: str
    dropout_rate: float | None = None  # the workload's own default; None: it has no dropout
    extra: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    known_as: tuple[str, ...] = ()  # its name, and that of the workload of which it is a variant

    @property
    def budget(self) -> float:
        """Seconds of timed training after which the trial ends."""
        return self.max_runtime * self.budget_factor

    @property
    def has_target(self) -> bool:
        """False for a new variant, whose targets must be set first: nobody reaches an infinite
        one.
        """
        return math.isfinite(self.validation_target)

    def reached(self, value: float, target: float | None) -> bool:
        """Whether `value` meets `target`; always true without a target, never for NaN."""
        return target is None or meets(value, target, self.direction == "max", self.strict)

    def better(self, a: float, b: float) -> bool:
        """Whether metric value `a` is better than `b` (NaN is never better)."""
        return a > b if self.direction == "max" else a < b


def meets(value: float, target: float, larger: bool, strict: bool) -> bool:
    """Whether `value` is at least as good as `target`; if `strict`, better; never for NaN."""
    if math.isnan(value):
        return False
    if value == target:
        return not strict
    return value > target if larger else value < target


def make_spec(config: Mapping[str, Any]) -> WorkloadSpec:
    """The spec of a composed and resolved configuration (plain containers)."""
    workload, targets = config["workload"], config["targets"]
    target = targets["workloads"][workload["name"]]
    return WorkloadSpec(
        name=workload["name"],
        version=str(targets["version"]),
        metric=target["metric"],
        direction=target["direction"],
        strict=target["strict"],
        validation_target=target["validation_target"],
        test_target=target["test_target"],
        max_runtime=target["max_runtime"],
        budget_factor=targets["rulesets"][config["ruleset"]["name"]]["budget_factor"],
        eval_period=target["eval_period"],
        step_hint=target["step_hint"],
        num_examples=MappingProxyType(dict(workload["num_examples"])),
        eval_batch_size=workload["eval_batch_size"],
        baseline_batch_size=workload["baseline_batch_size"],
        loss_type=workload["loss_type"],
        dropout_rate=workload["dropout_rate"],
        known_as=_names(workload),
    )


def _names(workload: Mapping[str, Any]) -> tuple[str, ...]:
    """A tiny twin is no variant: its own numbers are nothing like those of the full workload."""
    base = workload["base"] if workload["tier"] == "full" else None
    return (workload["name"],) if base is None else (workload["name"], base)
