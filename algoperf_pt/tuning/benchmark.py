"""What does `benchmark=` mean?  A list of workloads in conf/benchmark, or one by the version of the
rules, which stands in conf/targets; and, where not all trials are run, the policy that chooses.
"""

import difflib
from collections.abc import Sequence
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.errors import MissingConfigException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from algoperf_pt import schema
from algoperf_pt.errors import ConfigError


def read_benchmark(
    loader: ConfigLoader, name: str, version: str, words: Sequence[str]
) -> schema.Benchmark:
    """conf/benchmark/<name>.yaml, or one of the user's folder.

    Args:
        loader: Hydra's.
        name: of the list.
        version: of conf/targets, where the words choose no other.
        words: as typed; those about Hydra's search path, targets and `benchmark.KEY` count.

    Raises:
        ConfigError: no such list; an empty one; a workload that is there twice or that the version
            has no targets for; or several versions at once.
        OmegaConfBaseException: it is not of the form {name, workloads, policy}, or lacks a value.
    """
    search = [word for word in words if word.startswith("hydra.searchpath")]
    versions = [word for word in words if word.startswith("targets=")]
    keys = [word for word in words if word.startswith("targets.")]
    own = [word for word in words if is_own(word)]
    if any("," in word for word in versions):
        raise ConfigError(
            f"benchmark={name} and {versions[0]}: the lists of versions differ",
            expected="one version at a time",
            where="command line",
        )
    chosen = [f"+{word}" for word in versions] or [f"+targets={version}"]
    node = _load(loader, name, [*search, *chosen, *keys], own)
    plain = OmegaConf.to_container(node.benchmark, resolve=True, throw_on_missing=True)
    typed = OmegaConf.merge(OmegaConf.structured(schema.Benchmark), plain)
    found: Any = OmegaConf.to_object(typed)
    _check(found.workloads, name, set(node.targets.workloads), node.targets.version)
    benchmark: schema.Benchmark = found
    return benchmark


def is_own(word: str) -> bool:
    """Whether a word is about the benchmark and not about its trials: `benchmark.KEY=VALUE`."""
    return word.lstrip("+~").startswith("benchmark.")


def _load(loader: ConfigLoader, name: str, words: list[str], own: list[str]) -> DictConfig:
    try:
        return loader.load_configuration(None, [*words, f"+benchmark={name}", *own], RunMode.RUN)
    except MissingConfigException as error:
        options = list(error.options or ())
        near = difflib.get_close_matches(name, options, n=1)
        raise ConfigError(
            str(error).splitlines()[0].partition(": ")[2],
            expected=f"one of {', '.join(options)}",
            where="command line",
            fix=f"did you mean {near[0]!r}?" if near else "",
        ) from error


def _check(workloads: list[str], name: str, known: set[str], version: str) -> None:
    where = f"conf/benchmark/{name}.yaml: workloads"
    if not workloads:
        raise ConfigError(f"benchmark={name} has no workload", where=where)
    for workload in workloads:
        if workload not in known:
            raise ConfigError(
                f"benchmark={name}: version {version} has no targets for {workload!r}",
                expected=f"one of {', '.join(sorted(known))}",
                where=where,
            )
        if workloads.count(workload) > 1:
            raise ConfigError(f"benchmark={name} has {workload!r} twice", where=where)
