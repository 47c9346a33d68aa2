"""Which run is the best, and which targets follow from its repetitions?

Source: Dahl et al., arXiv 2306.07179, section 5.
"""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from algoperf_pt.errors import ConfigError
from algoperf_pt.target_setting.runs import Run

BUDGET_FACTOR = 4 / 3  # of the time that the runs took: they stop at 3/4 of the step hint


@dataclass(frozen=True)
class Found:
    """Targets of a workload.

    Args:
        validation: median of the runs' best validation results.
        test: the worst best test result among the runs that reached it; None without a test split.
        reached: how many reached the validation target.
        max_runtime: 4/3 of the runs' median time, s.
    """

    validation: float
    test: float | None
    reached: int
    max_runtime: float


def best_run(runs: Sequence[Run], direction: str) -> Run:
    """The one with the best validation result; of equal ones the quickest.

    Raises:
        ConfigError: there is none.
    """
    if not runs:
        raise ConfigError(
            "no run came to the end of its horizon",
            fix="look at the trials' result.json and logs; more trials, or a longer time limit",
        )
    return min(runs, key=lambda run: (_loss(run.validation, direction), run.seconds))


def targets(runs: Sequence[Run], direction: str) -> Found:
    """Targets from repetitions of the best run with other seeds.

    Raises:
        ConfigError: there is none.
    """
    if not runs:
        raise ConfigError(
            "no repetition of the best run came to its end",
            fix="look at the trials' result.json and logs",
        )
    validation = statistics.median(run.validation for run in runs)
    bound = _loss(validation, direction)
    reached = [run for run in runs if _loss(run.validation, direction) <= bound]
    tests = [run.test for run in reached if run.test is not None]
    worst = None
    if tests:
        worst = min(tests) if direction == "max" else max(tests)
    seconds = statistics.median(run.seconds for run in runs)
    return Found(validation, worst, len(reached), BUDGET_FACTOR * seconds)


def _loss(value: float, direction: str) -> float:
    """Smaller is better."""
    return -value if direction == "max" else value
