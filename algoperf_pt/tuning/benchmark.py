"""Which workloads does `benchmark=` mean?  A list in conf/benchmark, or one by the version of the
rules, which stands in conf/targets.
"""

import difflib
from collections.abc import Sequence

from hydra.core.config_loader import ConfigLoader
from hydra.errors import MissingConfigException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from algoperf_pt import schema
from algoperf_pt.errors import ConfigError


def workloads_of(loader: ConfigLoader, name: str, version: str, words: Sequence[str]) -> list[str]:
    """The workloads of conf/benchmark/<name>.yaml, or of the user's folder.

    Args:
        loader: Hydra's.
        name: of the list.
        version: of conf/targets, where the words choose no other.
        words: as typed; those about Hydra's search path and about targets count.

    Raises:
        ConfigError: no such list; an empty one; a workload that is there twice or that the version
            has no targets for; or several versions at once.
        OmegaConfBaseException: it is not of the form {name, workloads}.
    """
    search = [word for word in words if word.startswith("hydra.searchpath")]
    versions = [word for word in words if word.startswith("targets=")]
    keys = [word for word in words if word.startswith("targets.")]
    if any("," in word for word in versions):
        raise ConfigError(
            f"benchmark={name} and {versions[0]}: the lists of versions differ",
            expected="one version at a time",
            where="command line",
        )
    chosen = [f"+{word}" for word in versions] or [f"+targets={version}"]
    node = _load(loader, name, [*search, *chosen, *keys])
    typed = OmegaConf.merge(
        OmegaConf.structured(schema.Benchmark), OmegaConf.to_container(node.benchmark, resolve=True)
    )
    workloads = [str(workload) for workload in typed.workloads]
    _check(workloads, name, set(node.targets.workloads), node.targets.version)
    return workloads


def _load(loader: ConfigLoader, name: str, words: list[str]) -> DictConfig:
    try:
        return loader.load_configuration(None, [*words, f"+benchmark={name}"], RunMode.RUN)
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
