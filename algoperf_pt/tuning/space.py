"""What may a search space say, and which value does a number from 0 to 1 become in it?

Two forms, in YAML as in AlgoPerf's JSON: ranges and choices by name,

    {learning_rate: {min: 1e-4, max: 1e-2, scaling: log}, beta2: {feasible_points: [0.99, 0.999]}}

whose order is that of the quasi-random dimensions; or a list of points, each with all names.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from algoperf_pt.errors import ConfigError

Point = dict[str, Any]
Names = Mapping[str, Any]
_RANGE = {"min", "max", "scaling"}
_FORMS = "{min: A, max: B, scaling: linear | log}, or {feasible_points: [...]}"


@dataclass(frozen=True)
class Space:
    """A valid search space: `dimensions` by name, or `listed` points; the other one is empty."""

    dimensions: Mapping[str, Callable[[float], Any]]
    listed: Sequence[Point]

    @property
    def names(self) -> list[str]:
        """Of the hyperparameters."""
        return list(self.listed[0] if self.listed else self.dimensions)


@dataclass(frozen=True)
class Linear:
    """Numbers spread evenly over [low, high)."""

    low: float
    high: float

    def __call__(self, unit: float) -> float:
        return unit * (self.high - self.low) + self.low


@dataclass(frozen=True)
class Log:
    """Numbers whose logarithms are spread evenly over [log low, log high)."""

    low: float
    high: float

    def __call__(self, unit: float) -> float:
        return self.low * math.exp(unit * math.log(self.high / self.low))


@dataclass(frozen=True)
class Choice:
    """Some values, each as often as another."""

    values: Sequence[Any]

    def __call__(self, unit: float) -> Any:
        return self.values[math.floor(unit * len(self.values))]


def parse_space(content: Any, where: str) -> Space:
    """Check the content of a search space.

    Args:
        content: plain containers.
        where: file or configuration key in which it stands, for messages.

    Raises:
        ConfigError: the first key or value that a search space cannot have.
    """
    if isinstance(content, Mapping) and content:
        dimensions = {name: _dimension(name, content[name], where) for name in content}
        return Space(dimensions, ())
    if isinstance(content, (list, tuple)) and content:
        return Space({}, _listed(content, where))
    raise ConfigError(
        f"a search space cannot be {content!r}",
        expected=f"NAME: {_FORMS} for each hyperparameter; or a list of points",
        where=where,
    )


def _dimension(name: Any, entry: Any, where: str) -> Callable[[float], Any]:
    _check_name(name, where)
    if not isinstance(entry, Mapping) or not entry:
        raise ConfigError(f"{name} is {entry!r}", expected=_FORMS, where=where)
    if "feasible_points" in entry:
        _check_keys(name, entry, {"feasible_points"}, where)
        return Choice(_choices(name, entry["feasible_points"], where))
    _check_keys(name, entry, _RANGE, where)
    if entry["scaling"] not in ("linear", "log"):
        raise ConfigError(
            f"{name}.scaling is {entry['scaling']!r}", expected="linear or log", where=where
        )
    low, high = (_number(f"{name}.{key}", entry[key], where) for key in ("min", "max"))
    if low > high:
        raise ConfigError(
            f"{name}: min {low} is larger than max {high}",
            expected="min <= max",
            where=where,
            fix="exchange them",
        )
    if entry["scaling"] == "linear":
        return Linear(low, high)
    if low <= 0:
        raise ConfigError(
            f"{name}.min is {low}: it has no logarithm",
            expected="a number above 0, as scaling is log",
            where=where,
            fix="scaling: linear, or a small positive min",
        )
    return Log(low, high)


def _check_name(name: Any, where: str) -> None:
    if not isinstance(name, str) or not name:
        raise ConfigError(f"a hyperparameter has the name {name!r}", expected="text", where=where)


def _check_keys(name: str, entry: Mapping[str, Any], known: set[str], where: str) -> None:
    unknown = [key for key in entry if key not in known]
    if unknown:
        raise ConfigError(f"{name}: unknown key {unknown[0]!r}", expected=_FORMS, where=where)
    missing = sorted(known - set(entry))
    if missing:
        raise ConfigError(f"{name} has no {missing[0]}", expected=_FORMS, where=where)


def _number(name: str, value: Any, where: str) -> float:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not is_number or not math.isfinite(value):
        raise ConfigError(f"{name} is {value!r}", expected="a finite number", where=where)
    return value  # type: ignore[no-any-return]


def _choices(name: str, values: Any, where: str) -> Sequence[Any]:
    if not isinstance(values, (list, tuple)) or not values:
        raise ConfigError(
            f"{name}.feasible_points is {values!r}",
            expected="a list of at least one value",
            where=where,
        )
    for value in values:
        _check_value(f"{name}.feasible_points", value, where)
    return values


def _listed(points: Sequence[Any], where: str) -> Sequence[Point]:
    for number, point in enumerate(points, 1):
        if not isinstance(point, Mapping) or not point:
            raise ConfigError(
                f"point {number} is {point!r}", expected="{NAME: value, ...}", where=where
            )
        for name, value in point.items():
            _check_name(name, where)
            _check_value(f"point {number}: {name}", value, where)
        _check_same_names(number, point, points[0], where)
    return [{name: point[name] for name in points[0]} for point in points]


def _check_value(name: str, value: Any, where: str) -> None:
    if isinstance(value, float) and not math.isfinite(value):
        raise ConfigError(f"{name} is {value}", expected="a finite value", where=where)


def _check_same_names(number: int, point: Names, first: Names, where: str) -> None:
    different = [name for name in (*first, *point) if (name in first) != (name in point)]
    if different:
        verb = "lacks" if different[0] in first else "has"
        raise ConfigError(
            f"point {number} {verb} {different[0]!r}, unlike point 1",
            expected=f"the names of point 1: {', '.join(first)}",
            where=where,
        )
