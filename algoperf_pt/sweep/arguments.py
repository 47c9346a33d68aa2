"""What does a command line under -m ask for?  Lists of workloads, submissions, studies and trials,
and other keys that are swept.  Pure functions on Hydra's parsed overrides.
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hydra.core.override_parser.types import Override

from algoperf_pt.errors import ConfigError

GROUPS = ("workload", "submission")  # a list of these is a list of pairs, each with its trials
_PLACES = ("study", "trial")


@dataclass(frozen=True)
class Request:
    """A command line, taken apart.

    Args:
        fixed: words that every trial has.
        axes: for each of workload and submission that is a list, its words.
        others: the same for all other keys that are swept.
        studies: typed studies; None: those of the rule set.
        trials: typed trials; None: those of the rule set.
    """

    fixed: tuple[str, ...]
    axes: tuple[tuple[str, ...], ...]
    others: tuple[tuple[str, ...], ...]
    studies: tuple[int, ...] | None
    trials: tuple[int, ...] | None

    def pairs(self) -> Iterator[tuple[str, ...]]:
        """The words of each workload with each submission."""
        for words in itertools.product(*self.axes):
            yield (*words, *self.fixed)

    def combinations(self) -> Iterator[tuple[str, ...]]:
        """The words of each combination of the other swept keys; one that is empty if there are
        none.
        """
        yield from itertools.product(*self.others)


def request(overrides: Sequence[Override], workloads: Sequence[str] = ()) -> Request:
    """Take parsed overrides apart.

    Args:
        overrides: as Hydra's parser gives them.
        workloads: those of `benchmark=`; empty: as typed.

    Raises:
        ConfigError: a sweep without an end, or a study or trial that is no whole number.
    """
    fixed: list[str] = []
    swept: dict[str, tuple[str, ...]] = {}
    places: dict[str, tuple[int, ...]] = {}
    for override in overrides:
        key, words = override.get_key_element(), _words(override)
        if key in _PLACES:
            places[key] = tuple(_whole(key, word) for word in words)
        elif key in GROUPS or override.is_sweep_override():
            swept[key] = words
        else:
            fixed += words
    if workloads:
        _refuse_two_lists(swept)
        swept = {"workload": tuple(f"workload={name}" for name in workloads), **swept}
    return Request(
        fixed=tuple(fixed),
        axes=tuple(words for key, words in swept.items() if key in GROUPS),
        others=tuple(words for key, words in swept.items() if key not in GROUPS),
        studies=places.get("study"),
        trials=places.get("trial"),
    )


def _words(override: Override) -> tuple[str, ...]:
    key = override.get_key_element()
    if not override.is_sweep_override():
        return (override.input_line or f"{key}={override.get_value_element_as_str()}",)
    if not override.is_discrete_sweep():
        raise ConfigError(
            f"{override.input_line}: a range without steps has no trials",
            expected="a list (key=a,b,c) or range(start,stop,step)",
            where="command line",
        )
    return tuple(f"{key}={value}" for value in override.sweep_string_iterator())


def _whole(key: str, word: str) -> int:
    value = word.partition("=")[2]
    if not value.isdigit():
        raise ConfigError(
            f"{word}: no whole number",
            expected=f"numbers, such as {key}=0,1 or {key}=range(1,4)",
            where="command line",
        )
    return int(value)


def _refuse_two_lists(swept: dict[str, tuple[str, ...]]) -> None:
    if "workload" in swept:
        raise ConfigError(
            f"benchmark= and {swept['workload'][0]} both say which workloads",
            expected="one of the two",
            where="command line",
        )
