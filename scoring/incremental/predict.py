"""How likely is it that the new submission will beat each rival, from what it has shown so far?

What is not known is drawn from what the rivals did.  A study of a workload that has another study
behind it takes as long as that one, times the ratio of two studies of a rival; one without takes as
long as a rival's study of this workload, or, as there may be others than the rivals, and as if one
more of them had been seen, any time up to the budget, or longer.  What has already been ruled out
is not drawn.
"""

import numpy as np

from scoring.incremental.bounds import limits, needed, scored
from scoring.incremental.evidence import Bools, Evidence, Floats, Rivals

RESAMPLES = 1000
_EVENLY = 20  # times from 0 to the budget; as many are misses


def chances(
    rivals: Rivals, evidence: Evidence, generator: np.random.Generator, resamples: int = RESAMPLES
) -> Floats:
    """[C] probability that its score ends above the rival's; a draw in the scores counts half."""
    times = drawn_times(rivals, evidence, generator, resamples)
    own, others = scored(rivals, times)
    lead = own[:, None] - others  # [R, C]
    wins = (lead > 0).sum(0) + 0.5 * (lead == 0).sum(0)
    found: Floats = (wins + 0.5) / (resamples + 1)  # never 0 or 1: they are counted, not known
    return found


def drawn_times(
    rivals: Rivals, evidence: Evidence, generator: np.random.Generator, resamples: int
) -> Floats:
    """[R, W] seconds that the workloads may turn out to take."""
    least, most = evidence.studies()
    still: Bools = np.asarray(needed(rivals, evidence).any(-1))  # [W, K]
    least = np.where(still, least, np.minimum(most, np.maximum(least, limits(rivals, evidence))))
    pairs, misses = _pairs(rivals)
    drawn = np.empty((resamples, *least.shape))
    for w in range(least.shape[0]):
        shown = least[w][~still[w]]
        for k in range(least.shape[1]):
            if not still[w, k]:
                drawn[:, w, k] = least[w, k]
                continue
            first = _alike(rivals, w) if not len(shown) else None
            pool = _siblings(shown, pairs, misses, rivals.budgets[w]) if first is None else first
            drawn[:, w, k] = _draw(pool, least[w, k], most[w, k], generator, resamples)
    times: Floats = np.median(drawn, -1)
    return times


def _pairs(rivals: Rivals) -> tuple[Floats, Floats]:
    """(ratios of two studies of a rival on a workload, the first one finite; seconds over the
    budget of a study beside one that missed the target).
    """
    found, beside = [], []
    for c in range(rivals.seconds.shape[0]):
        for w, budget in enumerate(rivals.budgets):
            row = rivals.seconds[c, w][~np.isnan(rivals.seconds[c, w])]
            for j, a in enumerate(row):
                rest = np.delete(row, j)
                if np.isfinite(a):
                    found.append(rest / a)
                else:
                    beside.append(rest / budget)
    empty = [np.array([np.inf])]
    return np.concatenate(found or empty), np.concatenate(beside or empty)


def _alike(rivals: Rivals, w: int) -> Floats:
    """Times of the rivals' studies of a workload, and of one that is unlike them."""
    row = rivals.seconds[:, w].ravel()
    known = row[~np.isnan(row)]
    count = max(1, round(len(known) / len(rivals.names)))  # studies of one rival
    anywhere = np.linspace(0.0, rivals.budgets[w], _EVENLY)
    unlike = np.concatenate([anywhere, np.full(_EVENLY, np.inf)])
    pool: Floats = np.concatenate([np.repeat(known, 2 * _EVENLY), np.tile(unlike, count)])
    return pool


def _siblings(shown: Floats, pairs: Floats, misses: Floats, budget: float) -> Floats:
    """What studies beside those that are known may take."""
    pools = [a * pairs if np.isfinite(a) else budget * misses for a in shown]
    pool = np.concatenate(pools)
    return np.where(pool <= budget, pool, np.inf)


def _draw(
    pool: Floats, least: float, most: float, generator: np.random.Generator, resamples: int
) -> Floats:
    """From those of the pool that are above what was ruled out; a miss if none is."""
    left = pool[pool > least]
    if not len(left):
        return np.full(resamples, most)
    found: Floats = np.minimum(generator.choice(left, resamples), most)
    return found
