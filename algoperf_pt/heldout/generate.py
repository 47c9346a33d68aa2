"""Which variant belongs to a seed?  A pure function of the declared axes and the seed.

Numbers come from hashes of (seed, axis), not from a generator: the same on every machine and with
every version of Python and numpy, and an axis that is added later leaves the values of the others.
"""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from algoperf_pt.errors import ConfigError
from algoperf_pt.heldout.axes import FRACTION, LABEL_NOISE, Axis
from algoperf_pt.seeds import derive

Values = dict[str, Any]
_DIGITS = 2  # significant ones of a number from a range: a variant is told by its name's values
_TRIES = 100  # of a number that is not the base's
_DATA_BITS = 32  # of seeds in YAML


def generate(axes: Sequence[Axis], seed: int, count: int = 2) -> Values:
    """name of an axis -> its value in the variant, in the order of `axes`; none is the base's.

    Args:
        axes: of the workload.
        seed: of the variant, 0 or larger.
        count: of axes that change.

    Raises:
        ConfigError: there are fewer axes, or one has no value but the base's.
    """
    if not 1 <= count <= len(axes):
        raise ConfigError(
            f"{count} axes cannot change: the workload has {len(axes)}",
            expected=f"a number from 1 to {len(axes)}",
            where="--axes",
        )
    if seed < 0:
        raise ConfigError(f"the seed {seed}", expected="a whole number of at least 0")
    ranked = sorted(axes, key=lambda axis: derive(seed, "axis", axis.name))
    chosen = {axis.name for axis in ranked[:count]}
    return {axis.name: _value(axis, seed) for axis in axes if axis.name in chosen}


def settings(
    axes: Sequence[Axis], values: Mapping[str, Any], seed: int, train_rows: int
) -> dict[str, Any]:
    """What the values change below `workload`, as nested containers.

    Args:
        axes: of the workload.
        values: as `generate` gives them.
        seed: of the variant, from which the rows follow that are kept or whose labels change.
        train_rows: of the base.
    """
    changed: dict[str, Any] = {}
    for axis in axes:
        if axis.name not in values:
            continue
        value = values[axis.name]
        drawn = derive(seed, axis.sets) & ((1 << _DATA_BITS) - 1)
        if axis.sets == FRACTION:
            _put(changed, "num_examples.train", round(value * train_rows))
            _put(changed, "data.options.subset", {"of": train_rows, "seed": drawn})
        elif axis.sets == LABEL_NOISE:
            _put(changed, "data.options.label_noise", {"share": value, "seed": drawn})
        else:
            _put(changed, axis.sets, value)
    return changed


def variant_name(base: str, changed: Mapping[str, Any]) -> str:
    """<base>_v<8 hexadecimal digits>: equal settings have equal names, whatever seed gave them."""
    text = json.dumps([base, changed], sort_keys=True)
    return f"{base}_v{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def _value(axis: Axis, seed: int) -> Any:
    for attempt in range(_TRIES):
        unit = derive(seed, "value", axis.name, attempt) / 2**63
        if axis.bounds is None:
            return axis.options[int(unit * len(axis.options))]
        value = _within(unit, axis.bounds, axis.log)
        if value != axis.base:
            return value
    raise ConfigError(
        f"axis {axis.name}: {axis.bounds} holds nothing but the base's {axis.base}",
        expected=f"numbers that differ in {_DIGITS} digits",
    )


def _within(unit: float, bounds: tuple[float, float], log: bool) -> float:
    """A number of few digits, which rounding does not carry out of the bounds."""
    low, high = bounds
    exact = low * math.exp(unit * math.log(high / low)) if log else low + unit * (high - low)
    return min(max(float(f"{exact:.{_DIGITS}g}"), low), high)


def _put(node: dict[str, Any], key: str, value: Any) -> None:
    *parents, last = key.split(".")
    for part in parents:
        node = node.setdefault(part, {})
    node[last] = value
