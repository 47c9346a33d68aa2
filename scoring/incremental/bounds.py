"""Between which scores will a submission end, is its place decided, and which runs still matter?

A submission's own score falls, and its rivals' scores rise, with every second that it takes longer.
So bounds on its times are bounds on all scores and on all differences between them.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scoring.incremental.evidence import Bools, Evidence, Floats, Rivals
from scoring.profile import ratios, scores
from scoring.rules.model import TAU_MAX


@dataclass(frozen=True)
class Bounds:
    """What the scores can still be.

    Args:
        score: (least, most) of the new submission.
        rivals: (least, most), each [C].
        lead: (least, most), each [C]: its score less the rival's.
    """

    score: tuple[float, float]
    rivals: tuple[Floats, Floats]
    lead: tuple[Floats, Floats]

    @property
    def open(self) -> Bools:
        """[C] rivals that may yet turn out better or worse than it."""
        least, most = self.lead
        undecided: Bools = (least <= 0) & (most >= 0) & (least < most)
        return undecided


def bounds(rivals: Rivals, least: Floats, most: Floats) -> Bounds:
    """Bounds of all scores from those of its times, [W] each, s."""
    own_most, rivals_least = scored(rivals, least)
    own_least, rivals_most = scored(rivals, most)
    lead = (own_least - rivals_most, own_most - rivals_least)
    return Bounds((float(own_least), float(own_most)), (rivals_least, rivals_most), lead)


def scored(rivals: Rivals, times: Floats) -> tuple[Floats, Floats]:
    """(own [...], rivals' [..., C]) scores of the group, if the submission takes `times` [..., W]
    seconds.
    """
    others = np.broadcast_to(rivals.times, (*times.shape[:-1], *rivals.times.shape))
    group = np.concatenate([times[..., None, :], others], axis=-2)
    found = scores(ratios(group))
    return found[..., 0], found[..., 1:]


def limits(rivals: Rivals, evidence: Evidence) -> Floats:
    """[W, K] s after which a trial of a study changes no score any more.

    It is the least of: the budget; four times the fastest rival's time; the fastest trial of its
    study so far; the time that the median cannot pass, whatever this study brings.
    """
    counts = np.minimum(rivals.budgets, TAU_MAX * rivals.best)  # [W]
    _, most = evidence.studies()
    ceiling = np.sort(most, -1)[:, most.shape[-1] // 2]  # [W]; the upper one of two in the middle
    return np.minimum(np.minimum(counts, ceiling)[:, None], most)


def needed(rivals: Rivals, evidence: Evidence) -> Bools:
    """[W, K, I] trials that can still change a score."""
    least, most = evidence.studies()
    floor = np.sort(least, -1)[:, (least.shape[-1] - 1) // 2]  # [W]; the median is not below it
    below = most <= floor[:, None]  # [W, K] whatever more it shows, it stays below the median
    hopeless = floor >= np.minimum(rivals.budgets, TAU_MAX * rivals.best)  # [W]
    free = ~(evidence.over | evidence.dropped | np.isfinite(evidence.reached))
    soon: Bools = evidence.spent < limits(rivals, evidence)[..., None]
    studies = ~below & ~hopeless[:, None]
    return free & soon & studies[..., None]


def weights(rivals: Rivals, evidence: Evidence) -> Floats:
    """[W] how far what is not known of a workload can move the lead over a rival."""
    least, most = evidence.times()
    each = np.where(np.eye(len(least), dtype=bool), most, least)  # row w: only w at its worst
    best_own, best_rivals = scored(rivals, least)
    own, others = scored(rivals, each)
    moved: NDArray[np.float64] = (best_own - own) + (others - best_rivals).max(-1)
    return moved
