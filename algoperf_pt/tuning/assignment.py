"""Which point does each trial of each study take?  The benchmark's rules for tuning from outside.

Quasi-random points are drawn for all studies at once and dealt to them at random; a list of points
is gone through in each study anew, without replacement.
"""

from algoperf_pt.tuning.points import points
from algoperf_pt.tuning.space import Point, Space


def assigned(
    space: Space | None, studies: int, trials: int, seed: int
) -> dict[tuple[int, int], Point]:
    """(study, trial) -> point, studies from 0 and trials from 1.

    Args:
        space: None: there is nothing to tune, so each study is one trial with an empty point.
        studies: of the rule set.
        trials: of the rule set; a shorter list of points ends a study earlier.
        seed: of the order in which quasi-random points are dealt, 0 to 2^32 - 1.
    """
    if space is None:
        return {(study, 1): {} for study in range(studies)}
    if space.listed:
        listed = points(space, trials)
        return {(k, n): dict(p) for k in range(studies) for n, p in enumerate(listed, 1)}
    drawn = points(space, studies * trials, seed)
    return {(i // trials, i % trials + 1): point for i, point in enumerate(drawn)}
