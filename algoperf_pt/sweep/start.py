"""From the words behind -m to trials that run: Hydra composes, a sweeper plans, a launcher runs."""

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from hydra import initialize_config_module
from hydra._internal.callbacks import Callbacks
from hydra.core.config_loader import ConfigLoader
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.errors import HydraException
from hydra.types import HydraContext, RunMode
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from algoperf_pt import schema
from algoperf_pt.config import explain, register_resolvers, search_path
from algoperf_pt.driver import RANK_VARIABLES
from algoperf_pt.errors import ConfigError
from algoperf_pt.schema import Benchmark
from algoperf_pt.sweep.arguments import request
from algoperf_pt.sweep.backends import Backend
from algoperf_pt.sweep.incremental import Incremental
from algoperf_pt.sweep.outcome import Outcome, overall
from algoperf_pt.sweep.plan import Compose, Planned, plan, plan_words
from algoperf_pt.sweep.run import Sweep
from algoperf_pt.sweep.table import make_display
from algoperf_pt.tuning.benchmark import is_own, read_benchmark

_OF_THE_PARENT = ("hydra.", "hydra/", "experiment_dir", "display")


def multirun(words: Sequence[str], config_dir: str | None = None) -> int:
    """Run all trials that the words ask for; the exit code of the whole.

    Raises:
        ConfigError: the words cannot be composed; nothing was started.
    """
    _refuse_ranks()
    schema.register()
    register_resolvers()
    GlobalHydra.instance().clear()
    words = [_short(word) for word in words]
    own = [word for word in words if word.lstrip("+~").startswith(_OF_THE_PARENT)]
    with initialize_config_module("conf", version_base="1.3"):
        hydra = GlobalHydra.instance().hydra
        assert hydra is not None
        try:
            config = hydra.compose_config(
                "train",
                [*search_path(config_dir, words), *own],
                run_mode=RunMode.MULTIRUN,
                with_log_configuration=False,
            )
            sweeper = Plugins.instance().instantiate_sweeper(
                config=config,
                hydra_context=HydraContext(hydra.config_loader, Callbacks(config)),
                task_function=refuse_launcher,
            )
            returns = sweeper.sweep([word for word in words if not word.startswith("hydra")])
        except (HydraException, OmegaConfBaseException) as error:
            raise explain(error, list(words)) from error
    return overall([job.return_value for job in _flat(returns)])


def whole_plan(
    loader: ConfigLoader,
    config: DictConfig,
    arguments: Sequence[str],
    benchmark: Benchmark | None,
    needs_data: bool,
) -> list[Planned]:
    """The trials of a command line."""
    own = [word for word in arguments if is_own(word)]
    if own and benchmark is None:
        raise ConfigError(
            f"{own[0]}: there is no benchmark", where="command line", fix="add benchmark=NAME"
        )
    words = [word for word in arguments if word not in own]
    parsed = OverridesParser.create(config_loader=loader).parse_overrides(words)
    workloads = [] if benchmark is None else benchmark.workloads
    return plan(request(parsed, workloads), _composer(loader, config), needs_data)


def plan_of_jobs(
    loader: ConfigLoader, config: DictConfig, jobs: Sequence[Sequence[str]]
) -> list[Planned]:
    """The trials of another sweeper: one for each job."""
    return plan_words(jobs, _composer(loader, config))


def run_plan(
    trials: Sequence[Planned],
    backend: Backend,
    config: DictConfig,
    policy: Mapping[str, Any] | None = None,
) -> list[Outcome]:
    """Run the trials of a plan, all or those that the policy asks for, and say where they are."""
    display = make_display(config.display, trials)
    if policy is None:
        outcomes = Sweep(trials, backend, display).run()
    else:
        outcomes = Incremental(trials, backend, display, policy).run()
    if config.display != "none":
        for folder in sorted({planned.folder.parents[2] for planned in trials}):
            print(f"folder: {folder}")
    return outcomes


def _composer(loader: ConfigLoader, config: DictConfig) -> Compose:
    def compose(words: Sequence[str]) -> DictConfig:
        node = loader.load_sweep_config(config, list(words))
        with open_dict(node):
            del node["hydra"]
        return node

    return compose


def read_list(
    loader: ConfigLoader, config: DictConfig, name: str, arguments: Sequence[str]
) -> Benchmark:
    """What `benchmark=<name>` stands for on this command line."""
    overrides = OmegaConf.to_container(config.hydra.overrides.hydra)
    assert isinstance(overrides, list)
    words = [*map(str, overrides), *arguments]
    return read_benchmark(loader, name, config.hydra.runtime.choices.targets, words)


def _short(word: str) -> str:
    """`benchmark=` is a word of the sweeper's."""
    return f"hydra.sweeper.{word}" if word.startswith("benchmark=") else word


def _flat(returns: Any) -> list[Any]:
    """Hydra's own sweepers return a list for each batch."""
    if isinstance(returns, (list, tuple)):
        return [job for part in returns for job in _flat(part)]
    return [returns]


def _refuse_ranks() -> None:
    found = next((name for name in RANK_VARIABLES if name in os.environ), None)
    if found is not None:
        raise ConfigError(
            f"-m was started by torchrun or a similar launcher ({found} is set)",
            expected="one process that starts the trials, each with its own ranks",
            fix=f"{Path(sys.argv[0]).name} -m ... trainer.devices=N, without a launcher before it",
        )


def refuse_launcher(*_: Any) -> NoReturn:
    """Hydra's own launchers would run trials in this process, one after another."""
    raise ConfigError(
        "this hydra/launcher runs trials in the parent's process",
        expected="hydra/launcher=local or slurm: a process of its own for each trial",
        where="hydra/launcher",
    )
