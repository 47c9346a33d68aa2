"""What are the orders of a group: by score, and on each workload?

Shapes: S submissions, W workloads, K studies, N resamples.  Larger is better in all of them: times
are taken with a minus, so that a target that was missed is -inf and two misses are equal.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scoring.certainty.group import Group
from scoring.certainty.resample import Plan, resampled_studies
from scoring.times import workload_times

Floats = NDArray[np.float64]
SCORE = "score"


def measured(group: Group) -> dict[str, Floats]:
    """Name of the measure -> values [S]: the score, and the time on each workload."""
    return _named(group, group.scores, group.times)


def of_resamples(group: Group, plan: Plan) -> dict[str, Floats]:
    """Name of the measure -> values [N, S] of resampled studies."""
    scores, times = [], []
    for studies in resampled_studies(group.studies, plan):
        drawn = workload_times(studies)
        times.append(drawn)
        scores.append(group.of_times(drawn))
    return _named(group, np.concatenate(scores), np.concatenate(times))


@dataclass(frozen=True)
class Single:
    """The orders of single studies.

    Attributes:
        values: name of the measure -> [K', S]; K' whole studies, which differ by measure.
        left_out: studies in which a submission lacks a workload, so that they have no score.
    """

    values: dict[str, Floats]
    left_out: tuple[str, ...]


def of_studies(group: Group) -> Single:
    """Each study that has all submissions, scored alone."""
    studies = np.moveaxis(group.studies, -1, 0)  # [K, S, W]
    there: NDArray[np.bool_] = np.all(~np.isnan(studies), axis=1)  # [K, W]
    whole: NDArray[np.bool_] = np.all(there, axis=-1)
    values = {SCORE: group.of_times(studies[whole])}
    for w, name in enumerate(group.rules.names):
        values[name] = -studies[there[:, w], :, w]
    names = group.trials.studies
    return Single(values, tuple(n for n, good in zip(names, whole) if not good))


def _named(group: Group, scores: Floats, times: Floats) -> dict[str, Floats]:
    names = group.rules.names
    return {SCORE: scores, **{name: -times[..., w] for w, name in enumerate(names)}}
