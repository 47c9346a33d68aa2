"""Along which axes may a workload be varied, and within which bounds?  Data: conf/axes/<name>.yaml.

    NAME: {sets: KEY, choices: [...], why: TEXT}             one of these values
    NAME: {sets: KEY, factors: [...], multiple: N, why: ..}  the base's value times one of these,
                                                             rounded to a multiple of N, at least N
    NAME: {sets: KEY, range: [LOW, HIGH], scaling: linear | log, why: ..}

KEY is a key of the configuration below `workload`, such as model.width; or `fraction`, the share of
the training rows that is trained on, or `label_noise`, the share of them whose labels are dealt out
again.  `base` holds the value of the unchanged workload where its YAML leaves it to the model.  A
tiny twin has the axes of its base; its values are its own.  No torch here.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from algoperf_pt.errors import ConfigError

FRACTION, LABEL_NOISE = "fraction", "label_noise"
_DATA_BASE = {FRACTION: 1.0, LABEL_NOISE: 0.0}  # the unchanged workload's
_FORMS = ("choices", "factors", "range")
_KEYS = {"sets", "base", "why", "multiple", "scaling", *_FORMS}


@dataclass(frozen=True)
class Axis:
    """One thing that may change.

    Args:
        name: for people.
        sets: key below `workload`, or `FRACTION` or `LABEL_NOISE`.
        base: value of the unchanged workload.
        options: values it may take, none of them the base's; empty: any number of `bounds`.
        bounds: (low, high), both included.
        log: whether logarithms are spread evenly over `bounds`, not the numbers.
        why: the axis and its bounds are there.
    """

    name: str
    sets: str
    base: Any
    options: tuple[Any, ...]
    bounds: tuple[float, float] | None
    log: bool
    why: str

    @property
    def usable(self) -> bool:
        """Whether it has a value that is not the base's."""
        return bool(self.options) or self.bounds is not None

    def allows(self, value: Any) -> bool:
        """Whether a variant may have this value."""
        if self.bounds is None:
            return value in self.options
        return bool(self.bounds[0] <= value <= self.bounds[1] and value != self.base)


def parse_axes(declared: Any, workload: Mapping[str, Any], where: str) -> list[Axis]:
    """The axes of a workload, checked; those that cannot change it are left out.

    Args:
        declared: content of its file.
        workload: its node of the configuration, as plain containers.
        where: the file, for messages.

    Raises:
        ConfigError: what an axis cannot be.
    """
    if not isinstance(declared, Mapping) or not declared:
        raise ConfigError(f"the axes are {declared!r}", expected="NAME: {sets: ...}", where=where)
    axes = [_axis(str(name), entry, workload, where) for name, entry in declared.items()]
    keys = [axis.sets for axis in axes]
    twice = [key for key in keys if keys.count(key) > 1]
    if twice:
        raise ConfigError(f"two axes set {twice[0]}", expected="one axis a key", where=where)
    return [axis for axis in axes if axis.usable]


def _axis(name: str, entry: Any, workload: Mapping[str, Any], where: str) -> Axis:
    unknown = set(entry) - _KEYS if isinstance(entry, Mapping) else {"no keys"}
    forms = [form for form in _FORMS if form in entry] if not unknown else []
    if len(forms) != 1 or not all(isinstance(entry.get(k), str) for k in ("sets", "why")):
        raise ConfigError(
            f"axis {name} is {entry!r}",
            expected=f"sets, why, and one of {', '.join(_FORMS)}",
            where=where,
        )
    sets, base = entry["sets"], _base(name, entry, workload, where)
    options, bounds, log = (), None, False
    if forms[0] == "range":
        bounds, log = _bounds(name, entry, where)
    elif forms[0] == "choices":
        options = _without(base, _list(name, entry["choices"], where))
    else:
        options = _without(base, _multiples(name, entry, base, where))
    return Axis(name, sets, base, options, bounds, log, entry["why"])


def _base(name: str, entry: Mapping[str, Any], workload: Mapping[str, Any], where: str) -> Any:
    if entry["sets"] in _DATA_BASE:
        return _DATA_BASE[entry["sets"]]
    node: Any = workload
    for part in entry["sets"].split("."):
        node = node.get(part) if isinstance(node, Mapping) else None
    base = entry.get("base") if node is None else node
    if base is None:
        raise ConfigError(
            f"axis {name}: workload.{entry['sets']} has no value that could change",
            expected="a key of the workload's YAML",
            where=where,
            fix="base: VALUE, if the model has one by default",
        )
    return base


def _bounds(name: str, entry: Mapping[str, Any], where: str) -> tuple[tuple[float, float], bool]:
    pair, scaling = _list(name, entry["range"], where), entry.get("scaling", "linear")
    if len(pair) != 2 or not all(map(_is_number, pair)) or not pair[0] < pair[1]:
        raise ConfigError(f"axis {name}: range {pair}", expected="[LOW, HIGH]", where=where)
    if scaling not in ("linear", "log") or (scaling == "log" and pair[0] <= 0):
        raise ConfigError(
            f"axis {name}: scaling {scaling!r} of the range {pair}",
            expected="linear, or log from a number above 0",
            where=where,
        )
    return (float(pair[0]), float(pair[1])), scaling == "log"


def _list(name: str, values: Any, where: str) -> list[Any]:
    if not isinstance(values, list) or not values:
        raise ConfigError(f"axis {name} has {values!r}", expected="a list of values", where=where)
    return values


def _multiples(name: str, entry: Mapping[str, Any], base: Any, where: str) -> list[Any]:
    """The base's value, or each of its values, times the factors."""
    factors, multiple = _list(name, entry["factors"], where), entry.get("multiple", 1)
    numbers = [*factors, multiple, *(base if isinstance(base, list) else [base])]
    if not all(_is_number(number) and number > 0 for number in numbers):
        raise ConfigError(
            f"axis {name}: factors {factors} of {base!r}, to a multiple of {multiple!r}",
            expected="numbers above 0",
            where=where,
        )
    return [_scaled(base, factor, multiple) for factor in factors]


def _is_number(value: Any) -> bool:
    real = isinstance(value, (int, float)) and not isinstance(value, bool)
    return real and math.isfinite(value)


def _scaled(base: Any, factor: float, multiple: int) -> Any:
    """Half goes up, so that rounding is the same everywhere."""
    if isinstance(base, Sequence):
        return [_scaled(item, factor, multiple) for item in base]
    return max(multiple, math.floor(base * factor / multiple + 0.5) * multiple)


def _without(base: Any, values: list[Any]) -> tuple[Any, ...]:
    """The values without the base's and without repetitions."""
    found: list[Any] = []
    for value in values:
        if value != base and value not in found:
            found.append(value)
    return tuple(found)
