"""Which variants are held out?  One from each dataset's list, by a seed that is made public after
the algorithms have been handed in.

As AlgoPerf 0.5 drew them: `g = numpy.random.default_rng(seed)`, and in the order of the lists
`list[g.integers(len(list))]`.  No torch here.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from algoperf_pt.errors import ConfigError

Lists = Mapping[str, Sequence[str]]


def draw(lists: Lists, seed: int) -> dict[str, str]:
    """dataset -> the variant that is held out, a pure function of its arguments.

    Args:
        lists: dataset -> variants, in the order in which they are drawn from.
        seed: 0 or larger.
    """
    import numpy as np

    if seed < 0:
        raise ConfigError(f"the seed {seed}", expected="a whole number of at least 0")
    generator = np.random.default_rng(seed)
    return {
        dataset: variants[int(generator.integers(len(variants)))]
        for dataset, variants in lists.items()
    }


def parse_lists(content: Any, where: str) -> dict[str, list[str]]:
    """The checked lists of a file such as conf/heldout/v05.yaml.

    Raises:
        ConfigError: what is wrong with them, and in which list.
    """
    lists = content.get("lists") if isinstance(content, Mapping) else None
    if not isinstance(lists, Mapping) or not lists:
        raise ConfigError(
            "there are no lists to draw from",
            expected="lists: {DATASET: [VARIANT, ...], ...}",
            where=where,
        )
    seen: set[str] = set()
    for dataset, variants in lists.items():
        _check(str(dataset), variants, seen, where)
    return {str(dataset): list(variants) for dataset, variants in lists.items()}


def _check(dataset: str, variants: Any, seen: set[str], where: str) -> None:
    if not isinstance(variants, list) or not variants:
        raise ConfigError(
            f"lists.{dataset} is {variants!r}", expected="at least one workload", where=where
        )
    for name in variants:
        if not isinstance(name, str) or name in seen:
            raise ConfigError(
                f"lists.{dataset} holds {name!r}",
                expected="names of workloads, each once in all lists",
                where=where,
            )
        seen.add(name)
