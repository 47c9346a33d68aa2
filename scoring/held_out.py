"""Which times count?  The rules with held-out workloads (benchmark 0.5), and the factor that a time
may be above the fastest one.

Shapes: any leading axes `...`, S submissions, W workloads (scored ones first, then held-out ones),
B scored workloads.  Seconds: inf where the target was not reached, nan where there are no logs.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from scoring.rules.model import EXCLUSION

Floats = NDArray[np.float64]

COUNTS, NOT_REACHED, MISSING, OVER, BASE_FAILED, HELD_OUT_FAILED = range(6)


def apply_held_out(
    times: Floats, base_of: Sequence[int], scored: int, factor: float = EXCLUSION
) -> tuple[Floats, NDArray[np.int8]]:
    """(times that count [..., S, B], reasons [..., S, W]) from those of workloads [..., S, W].

    In this order: a held-out time is dropped where the target of its base was not reached; every
    time above `factor` times the fastest of its workload is dropped; the time of a base is dropped
    where that of its held-out workload does not count.

    Args:
        base_of: for each held-out workload, the place of its base among the scored ones.
        scored: B.
        factor: of the second rule; exactly so many times the fastest counts.

    Returns:
        The reasons are COUNTS, NOT_REACHED, MISSING, OVER, BASE_FAILED (a held-out time), or
        HELD_OUT_FAILED (a scored one).
    """
    table = times.copy()
    reasons = np.where(np.isnan(times), MISSING, np.where(np.isinf(times), NOT_REACHED, COUNTS))
    for held, base in enumerate(base_of, start=scored):
        failed = ~np.isfinite(table[..., base])
        _drop(table, reasons, held, failed, BASE_FAILED)
    with np.errstate(invalid="ignore"):
        fastest = np.fmin.reduce(table, axis=-2, keepdims=True)
        slow = table > factor * fastest
    reasons[slow & np.isfinite(table)] = OVER
    table[slow] = np.inf
    for held, base in enumerate(base_of, start=scored):
        failed = ~np.isfinite(table[..., held])
        _drop(table, reasons, base, failed, HELD_OUT_FAILED)
    return table[..., :scored], reasons.astype(np.int8)


def _drop(
    table: Floats, reasons: NDArray[np.int64], place: int, where: NDArray[np.bool_], reason: int
) -> None:
    lost = where & np.isfinite(table[..., place])
    reasons[..., place] = np.where(lost, reason, reasons[..., place])
    table[..., place] = np.where(where, np.inf, table[..., place])
