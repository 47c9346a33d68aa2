"""What is the largest size that fits?  By halving an interval.  No torch here."""

from collections.abc import Callable


def largest_that_fits(low: int, high: int, fits: Callable[[int], bool]) -> int:
    """The largest whole number below `high` of which `fits` is true, if it is true up to some
    number and false from there on; `low` is known to fit (0: nothing is known), `high` not to.
    """
    while high - low > 1:
        middle = (low + high) // 2
        if fits(middle):
            low = middle
        else:
            high = middle
    return low
