"""How many hours is a trial, and how many are all of them?  Budgets are those of the rules; what
comes on top was measured.  No torch here.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hydra import initialize_config_module
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode

from algoperf_pt import schema
from algoperf_pt.config import register_resolvers
from algoperf_pt.errors import ConfigError
from algoperf_pt.spec import WorkloadSpec
from algoperf_pt.tuning.benchmark import read_benchmark


@dataclass(frozen=True)
class Cost:
    """Seconds, if a trial uses its whole budget.

    Args:
        budget: timed seconds of a trial.
        evaluations: how many a trial has, the one after the first step and the last included.
        evaluation, checkpoint, start: seconds of one; a checkpoint follows each evaluation.
        trials: of the workload under the rule set, all studies.
    """

    budget: float
    evaluations: int
    evaluation: float
    checkpoint: float
    start: float
    trials: int

    @property
    def untimed(self) -> float:
        """Seconds of a trial that are not on the submission's clock."""
        return self.start + self.evaluations * (self.evaluation + self.checkpoint)

    @property
    def trial(self) -> float:
        """Seconds of a trial."""
        return self.budget + self.untimed

    @property
    def workload(self) -> float:
        """Seconds of all trials of the workload, one after the other."""
        return self.trials * self.trial


def make_cost(
    spec: WorkloadSpec, config: dict[str, Any], phases: dict[str, dict[str, Any]]
) -> Cost:
    """From the figures of the phases."""
    rules = config["targets"]["rulesets"][config["ruleset"]["name"]]
    first = bool(config["targets"]["protocol"]["evaluate_after_first_step"])
    return Cost(
        budget=spec.budget,
        evaluations=first + math.ceil(spec.budget / spec.eval_period),
        evaluation=phases["evaluation"]["seconds"],
        checkpoint=phases["checkpoint"]["save_seconds"],
        start=phases["set-up"]["seconds"],
        trials=rules["studies"] * rules["trials"],
    )


def whole_benchmark(
    config: dict[str, Any], words: Sequence[str], search: Sequence[str] = ()
) -> tuple[int, float]:
    """(trials, seconds of their budgets) of `benchmark=full` under the rule set.

    Args:
        config: composed.
        words: as typed, with one for the targets where they are not the default ones.
        search: words about Hydra's search path.

    Raises:
        ConfigError: the version has no such list.
    """
    targets = config["targets"]
    rules = targets["rulesets"][config["ruleset"]["name"]]
    schema.register()
    register_resolvers()
    GlobalHydra.instance().clear()
    with initialize_config_module("conf", version_base="1.3"):
        hydra = GlobalHydra.instance().hydra
        if hydra is None:
            raise ConfigError("Hydra cannot read conf")
        typed = [word for word in words if word.startswith("targets=")]
        keys = [word for word in words if word.startswith("targets.")]
        version = f"v{str(targets['version']).replace('.', '')}"
        loader = hydra.config_loader
        listed = read_benchmark(loader, "full", version, [*search, *typed, *keys])
        more = [f"+{word}" for word in typed or [f"targets={version}"]]
        node = loader.load_configuration(None, [*search, *more, *keys], RunMode.RUN)
        every = node.targets.workloads
    budgets = [every[name].max_runtime * rules["budget_factor"] for name in listed.workloads]
    each = rules["studies"] * rules["trials"]
    return each * len(budgets), each * sum(budgets)
