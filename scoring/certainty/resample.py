"""Which studies, and which trials within them, does a resample of a leaderboard hold?

A study is a repetition of the whole tuning protocol, so studies are what is drawn, with
replacement, for every submission on its own.  Where a workload lacks some studies, the draw is
among those that it has: a missing study stays out of the median, as in the score itself.

Draws are uniform numbers, one for each thing drawn, in a fixed order: the result depends on the
seed alone, not on how many resamples are made at a time.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

ELEMENTS_AT_A_TIME = 1_000_000  # of the largest array of a chunk: 8 MB in float64
UNITS = ("study", "cell")


@dataclass(frozen=True)
class Plan:
    """How to draw.

    Attributes:
        resamples: how many leaderboards to draw.
        seed: fixes every draw.
        unit: "study": a study is drawn with all its workloads (they share hyperparameters);
            "cell": studies are drawn anew for every workload (they share no random numbers).
        trials: also draw the trials of each drawn study, with replacement.
        studies: how many studies to draw; None: as many as there are.
    """

    resamples: int
    seed: int = 0
    unit: str = "study"
    trials: bool = False
    studies: int | None = None


def draw(uniform: Floats, present: NDArray[np.bool_]) -> Ints:
    """Indices of drawn studies [..., S, W, M] from numbers in [0, 1) [..., S, W or 1, M].

    `present` [S, W, K] says which studies there are; without any, index 0 is returned.
    """
    counts = present.sum(-1)[..., None]
    place: Ints = np.floor(uniform * counts).astype(np.int64)
    if present.all():
        return place
    first = np.argsort(~present, axis=-1, kind="stable")  # those that are there come first
    lead = (1,) * (place.ndim - first.ndim)
    index: Ints = np.take_along_axis(first.reshape(lead + first.shape), place, axis=-1)
    return index


def chunks(total: int, elements_each: int) -> Iterator[int]:
    """Sizes that add up to `total`, each small enough for `elements_each` numbers an item."""
    size = max(1, ELEMENTS_AT_A_TIME // max(1, elements_each))
    for start in range(0, total, size):
        yield min(size, total - start)


def resampled_studies(seconds: Floats, plan: Plan) -> Iterator[Floats]:
    """Chunks [n, S, W, M] of study times, drawn from those at hand.

    Args:
        seconds: [S, W, K]; inf where the target was missed, nan where there is no study.
    """
    submissions, workloads, studies = seconds.shape
    width = plan.studies or studies
    groups = 1 if plan.unit == "study" else workloads
    generator = np.random.default_rng(np.random.SeedSequence(plan.seed).spawn(1)[0])
    present = ~np.isnan(seconds)
    for size in chunks(plan.resamples, submissions * workloads * width):
        uniform = generator.random((size, submissions, groups, width))
        yield np.take_along_axis(seconds[None], draw(uniform, present), axis=-1)


def resampled_trials(seconds: Floats, place: Ints, plan: Plan) -> Iterator[Floats]:
    """Chunks [n, S, W, M] of study times, where the trials of each study are drawn as well.

    A drawn trial keeps its point of the search space on all workloads if studies do.

    Args:
        seconds: [S, W, K, T]; inf where the target was missed, nan where there is no such trial:
            in a study that has others, it counts as one that misses.
        place: [S, W, K, T]; where a trial stands in its study in the order in which the best is
            chosen, 0 for the best.
    """
    submissions, workloads, studies, trials = seconds.shape
    width = plan.studies or studies
    groups = 1 if plan.unit == "study" else workloads
    of_studies, of_trials = map(
        np.random.default_rng, np.random.SeedSequence(plan.seed).spawn(2)
    )
    present: NDArray[np.bool_] = np.any(~np.isnan(seconds), axis=-1)
    known = np.where(np.isnan(seconds) & present[..., None], np.inf, seconds)
    ordered = np.take_along_axis(known, np.argsort(place, axis=-1), axis=-1)
    cells = np.arange(submissions)[:, None, None], np.arange(workloads)[:, None]
    for size in chunks(plan.resamples, prod((submissions, workloads, width, trials))):
        study = draw(of_studies.random((size, submissions, groups, width)), present)
        uniform = of_trials.random((size, submissions, groups, width, trials))
        drawn = np.floor(uniform * trials).astype(np.int64)
        cell = tuple(index[..., None] for index in cells)
        best = place[(*cell, study[..., None], drawn)].min(-1)
        yield ordered[(*cells, study, best)]
