"""When does a number agree with a reference value?  Errors, tolerances, and statistics of random
tensors.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import numpy as np
from torch import Tensor

Array = np.ndarray[Any, Any]

# What an error is relative to: the largest reference value; each element its own; nothing.
MAXIMUM, EACH, ABSOLUTE = "of the maximum", "of each", "absolute"
_FLOOR = 1e-6  # EACH: elements below this share of the largest are rounding noise
_ROUNDED = 1e-4  # relative: stored statistics have five digits


@dataclass(frozen=True)
class Tolerance:
    """Largest error with which a value agrees, and what it is relative to."""

    limit: float
    kind: str = MAXIMUM


EXACT = Tolerance(0.0, ABSOLUTE)

# Our initialisation is drawn from other random numbers than the reference's, so only statistics
# agree; each is given in the unit in which it varies from one drawing to the next.
INIT_TOLERANCES = {
    "init/constants": Tolerance(1e-6, ABSOLUTE),
    "init/std": Tolerance(5.0, ABSOLUTE),  # unit: std / sqrt(numel)
    "init/mean": Tolerance(6.0, ABSOLUTE),  # unit: std / sqrt(numel)
    "init/range": Tolerance(150.0, ABSOLUTE),  # unit: bound / numel, the gap to a sharp bound
}


@dataclass(frozen=True)
class Check:
    """One compared key; `note` says what differs where a number does not."""

    key: str
    error: float
    tolerance: Tolerance
    note: str = ""

    @property
    def ok(self) -> bool:
        """Whether the error is within the tolerance (nan is not)."""
        return self.error <= self.tolerance.limit


def error(found: Any, expected: Array, kind: str) -> float:
    """How far `found` is from `expected`; infinite for another shape, nan agrees with nan alone."""
    found = np.asarray(found)
    if found.shape != expected.shape:
        return float("inf")
    if expected.dtype.kind in "US":
        return float(np.any(found != expected))
    if not expected.size:
        return 0.0
    a, b = found.astype(np.float64), expected.astype(np.float64)
    same = (a == b) | (np.isnan(a) & np.isnan(b))  # infinities too
    with np.errstate(invalid="ignore"):
        distance = np.where(same, 0.0, np.abs(a - b))
    size = np.abs(np.where(np.isfinite(b), b, 0.0))
    largest = float(size.max())
    if kind == ABSOLUTE:
        return float(distance.max())
    if kind == EACH:
        return float((distance / np.maximum(np.maximum(size, _FLOOR * largest), 1e-30)).max())
    return float(distance.max()) / (largest or 1.0)


def init_errors(
    values: Tensor, expected: dict[str, float], bounded: bool
) -> Iterator[tuple[str, float]]:
    """(key of INIT_TOLERANCES, error) of one tensor.

    Args:
        values: as our initialisation drew them.
        expected: mean, (population) std, min and max of the reference's.
        bounded: whether they come from a distribution with sharp bounds, so that ranges compare.
    """
    found = (values.mean(), values.std(correction=0), values.min(), values.max())
    mean, std, low, high = (float(value) for value in found)
    numel = values.numel()
    distance = max(abs(low - expected["min"]), abs(high - expected["max"]))
    if expected.get("numel", numel) != numel:
        yield "init/constants", float("inf")
    elif numel == 1 and not bounded:
        return  # one number of a distribution without bounds: any will do
    elif expected["std"] == 0.0:
        yield "init/constants", distance
    else:
        yield "init/std", abs(std / expected["std"] - 1.0) * numel**0.5
        yield "init/mean", abs(mean - expected["mean"]) / expected["std"] * numel**0.5
        if bounded:
            share = distance / max(abs(expected["min"]), abs(expected["max"]))
            yield "init/range", max(0.0, share - _ROUNDED) * numel


def matches(key: str, pattern: str) -> bool:
    """Whether a pattern with wildcards means FILE/KEY; it may leave out the file."""
    return fnmatchcase(key, pattern) or fnmatchcase(key.partition("/")[2], pattern)
