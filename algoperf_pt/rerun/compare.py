"""Did the same come out?  Evaluations at the same steps, to the last digit or by how much they
differ, and the time a step took.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from algoperf_pt.eval_rows import read_eval_rows
from algoperf_pt.result import read_result

_TIMES = ("accumulated_", "score", "total_duration", "preemption_count")

Row = dict[str, str]


@dataclass(frozen=True)
class Comparison:
    """Two trials side by side.

    Args:
        evaluations: at steps that both have.
        alone: evaluations that only one of them has.
        different: (step, figure, before, after) as written in the files.
        time_ratio: seconds a step, the repetition's over the first one's; None: not known.
    """

    evaluations: int
    alone: int
    different: tuple[tuple[str, str, str, str], ...]
    time_ratio: float | None

    @property
    def same(self) -> bool:
        """Whether all evaluations are there and equal to the last digit."""
        return self.evaluations > 0 and not self.alone and not self.different

    def lines(self) -> list[str]:
        """What there is to say."""
        said = [f"evaluations at the same steps: {self.evaluations}; of one alone: {self.alone}"]
        if self.same:
            said.append("all figures are the same to the last digit")
        for name in sorted({figure for _, figure, _, _ in self.different}):
            said.append(self._most(name))
        if self.time_ratio is not None:
            said.append(f"time a step: {self.time_ratio:.3f} times that of the first trial")
        return said

    def _most(self, name: str) -> str:
        found = [entry for entry in self.different if entry[1] == name]
        step, _, before, after = max(found, key=lambda entry: _distance(entry[2], entry[3]))
        return f"{name}: {len(found)} differ, most at step {step}: {before} -> {after}"


def compare(before: Path, after: Path) -> Comparison:
    """Compare the evaluations of two trial folders."""
    first, second = _by_step(before), _by_step(after)
    both = [step for step in first if step in second]
    different = [
        (step, name, first[step].get(name, ""), second[step].get(name, ""))
        for step in both
        for name in sorted(first[step].keys() | second[step].keys())
        if first[step].get(name, "") != second[step].get(name, "")
    ]
    alone = len(first.keys() ^ second.keys())
    return Comparison(len(both), alone, tuple(different), _ratio(before, after))


def _by_step(folder: Path) -> dict[str, Row]:
    """Rows by step, without what a clock says."""
    try:
        rows: Sequence[Row] = read_eval_rows(folder)
    except OSError:
        return {}
    return {
        row["global_step"]: {k: v for k, v in row.items() if not k.startswith(_TIMES)}
        for row in rows
    }


def _ratio(before: Path, after: Path) -> float | None:
    costs = [_step_time(read_result(folder)) for folder in (before, after)]
    return costs[1] / costs[0] if costs[0] and costs[1] else None


def _step_time(result: dict[str, Any] | None) -> float | None:
    if result is None or not result.get("step"):
        return None
    return float(result["elapsed"]) / float(result["step"])


def _distance(a: str, b: str) -> float:
    try:
        distance = abs(float(a) - float(b))
    except ValueError:
        return math.inf
    return math.inf if math.isnan(distance) else distance
