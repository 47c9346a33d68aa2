"""Between two submissions: how many workloads does each win?  Who is fastest on each?"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from scoring.certainty.table import Table

Floats = NDArray[np.float64]


def wins(times: Floats) -> NDArray[np.int64]:
    """[S, S] number of workloads on which submission i is faster than j.

    Args:
        times: [S, B] seconds that count; inf or nan where the target does not count as reached.
    """
    known = np.where(np.isnan(times), np.inf, times)
    won: NDArray[np.int64] = (known[:, None, :] < known[None, :, :]).sum(-1)
    return won


def equal(times: Floats) -> NDArray[np.int64]:
    """[S, S] number of workloads that both reached, in the same time."""
    known = np.where(np.isnan(times), np.inf, times)
    same = known[:, None, :] == known[None, :, :]
    tied: NDArray[np.int64] = (same & np.isfinite(known)[:, None, :]).sum(-1)
    return tied


def head_to_head(names: Sequence[str], order: Sequence[int], times: Floats) -> Table:
    """One row for each pair, the better placed one first (`order`: indices, best first)."""
    won, tied = wins(times), equal(times)
    rows = [
        (names[a], names[b], int(won[a, b]), int(won[b, a]), int(tied[a, b]), _neither(times, a, b))
        for place, a in enumerate(order)
        for b in order[place + 1 :]
    ]
    return Table(
        name="head_to_head",
        title="Head to head: on how many workloads is A faster than B?",
        columns=("A", "B", "A faster", "B faster", "tied", "neither reached"),
        rows=rows,
        notes=("Times that count: after the rules on held-out workloads and slow times.",),
    )


def fastest(names: Sequence[str], workloads: Sequence[str], times: Floats) -> Table:
    """Who is fastest on each workload, who comes next, and how much longer that takes."""
    return Table(
        name="fastest",
        title="Fastest submission of each workload",
        columns=("workload", "fastest", "seconds", "second", "seconds of second", "ratio"),
        rows=[_podium(names, name, column) for name, column in zip(workloads, times.T)],
        digits=3,
    )


def _podium(
    names: Sequence[str], workload: str, column: Floats
) -> tuple[str, str, float | None, str, float | None, float | None]:
    there = [i for i in np.argsort(column, kind="stable") if np.isfinite(column[i])]
    if not there:
        return workload, "nobody", None, "nobody", None, None
    first = float(column[there[0]])
    if len(there) == 1:
        return workload, names[there[0]], first, "nobody", None, None
    second = float(column[there[1]])
    return workload, names[there[0]], first, names[there[1]], second, second / first


def _neither(times: Floats, a: int, b: int) -> int:
    return int((~np.isfinite(times[a]) & ~np.isfinite(times[b])).sum())
