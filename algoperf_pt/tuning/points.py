"""Which points does a search space have?  A pure function of (space, number, seed)."""

from algoperf_pt.errors import ConfigError
from algoperf_pt.tuning.halton import shuffled_index, unit_points
from algoperf_pt.tuning.space import Point, Space

_SEEDS = 2**32  # of numpy's legacy generator, whose order is the reference's


def points(space: Space, count: int, seed: int | None = None) -> list[Point]:
    """The first `count` points.  Those of a list come in its own order, and end where it ends.

    Args:
        space: ranges, or a list of points.
        count: of points, from 1.
        seed: in which order quasi-random points come, 0 to 2^32 - 1: that of the reference after
            `numpy.random.seed(seed)`; None: as the sequence has them.  The set is the same.
    """
    if count < 1:
        raise ConfigError(f"{count} points cannot be drawn", expected="a number of at least 1")
    if space.listed:
        return [dict(point) for point in space.listed[:count]]
    rows = unit_points(count, len(space.dimensions))
    order = range(count) if seed is None else shuffled_index(count, _checked(seed))
    return [
        {name: value(unit) for (name, value), unit in zip(space.dimensions.items(), rows[i])}
        for i in order
    ]


def _checked(seed: int) -> int:
    if not 0 <= seed < _SEEDS:
        raise ConfigError(
            f"the seed {seed} cannot order points", expected="a whole number from 0 to 2^32 - 1"
        )
    return seed
