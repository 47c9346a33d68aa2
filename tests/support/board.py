"""A small scored group for tests of pictures, tables and page: three submissions, two base
workloads, one held-out variant, two studies of two trials.  Times are round numbers; most kinds of
exclusion are there.
"""

import numpy as np

from scoring.pictures.medians import Points
from scoring.report.board import Board
from scoring.report.runs import Run
from scoring.rules.model import Workload
from scoring.speedups import speedups

INF, NAN = float("inf"), float("nan")
NAMES = ("quick", "slow_one", "no_logs")
WORKLOADS = (
    Workload("ogbg", "validation/mean_average_precision", "max", 0.5, 1000.0),
    Workload("wmt", "validation/loss", "min", 2.0, 8000.0),
    Workload("wmt_glu", "validation/loss", "min", 2.5, 8000.0, "wmt"),
)
TIMES = np.array([[100.0, 4000.0, 2000.0], [300.0, 6000.0, INF], [NAN, INF, 900.0]])
REASONS = (
    ("", "", ""),
    ("", "held_out_failed:wmt_glu", "target_not_reached"),
    ("missing", "target_not_reached", "base_not_finite"),
)


def board(names=NAMES, **changes):
    """The group; `changes` replace attributes."""
    studies = np.stack([TIMES * 0.9, TIMES * 1.1], axis=-1)
    attributes = {
        "title": "A small group",
        "submissions": tuple(names),
        "workloads": WORKLOADS,
        "times": TIMES,
        "reasons": REASONS,
        "ratios": np.array([[1.0, 1.0], [3.0, INF], [INF, INF]]),
        "scores": np.array([1.0, 1 / 6, 0.0]),
        "ranks": np.array([1, 2, 3]),
        "tau_max": 4.0,
        "factor": 4.0,
        "timed": True,
        "studies": ("study_0", "study_1"),
        "study_times": studies,
        "study_trials": np.ones((3, 3, 2), dtype=np.int64),
        "facts": (("rules", "0.5, external tuning"),),
    }
    return Board(**{**attributes, **changes})


def against(baseline, names=NAMES):
    """What makes the group one with speed told against a submission, by number."""
    budgets = np.array([workload.budget for workload in WORKLOADS[:2]])
    return {"baseline": names[baseline], "speed": speedups(TIMES[:, :2], budgets, baseline)}


def runs(names=NAMES):
    """Trials whose metric goes evenly from a bad value at 1 s to the target at their time."""
    made = []
    for s, name in enumerate(names):
        for w, workload in enumerate(WORKLOADS):
            for study in range(2 if np.isfinite(TIMES[s, w]) or w else 0):
                made += [_run(name, workload, study, number, TIMES[s, w]) for number in (1, 2)]
    return made


def _run(name, workload, study, number, time):
    """Trial 2 misses; trial 1 hits where the group does, a tenth earlier or later by study."""
    hits = number == 1 and np.isfinite(time)
    end = time * (0.9 + 0.2 * study) if hits else workload.budget
    x = np.linspace(1.0, end, 30)
    start, last = (4.0, 1.0) if workload.goal == "min" else (0.0, 1.0)
    y = start + (workload.target - start) * np.linspace(0, 1 if hits else 0.9, 30) * last
    points = Points(f"study_{study}", x, y)
    return Run(
        name, workload.name, number, points, "pytorch", "", {"lr": 0.1 * number, "mode": "a"}
    )
