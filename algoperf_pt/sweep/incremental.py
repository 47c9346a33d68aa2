"""Runs only as much of a plan as a policy asks for: each trial until a time of its clock, then the
next, until enough is known.  The policy (`_target_`) sees numbers alone; what was run stands in the
trials' folders, so the same command goes on.
"""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from algoperf_pt.errors import ConfigError
from algoperf_pt.eval_rows import best, read_eval_rows
from algoperf_pt.heartbeat import CLOCK_FILE, read_clock
from algoperf_pt.instantiate import instantiate
from algoperf_pt.records import write_atomically
from algoperf_pt.result import read_result
from algoperf_pt.status import AS_ASKED, FINAL, Status
from algoperf_pt.sweep.backends import Backend, Running
from algoperf_pt.sweep.outcome import Outcome
from algoperf_pt.sweep.plan import Planned
from algoperf_pt.sweep.run import Sweep
from algoperf_pt.sweep.table import Display, Outcomes

FILE = "incremental.json"  # in the submission's folder
# The submission's own failures: the target counts as missed, and the evaluation goes on.
MISSED = frozenset(
    {Status.SUBMISSION_ERROR, Status.OOM_TRAIN, Status.OOM_EVAL, Status.INTEGRITY}
)
Place = tuple[int, int, int]  # (workload, study, trial), counted from 0


class Ask(Protocol):
    """A trial to run until a time of its clock."""

    place: Place
    until: float


class Evaluation(Protocol):
    """What a policy begins; see scoring/incremental/policy.py."""

    evidence: Any

    def ask(self, most: int) -> Sequence[Ask]:
        """The next trials; none: enough is known."""

    def show(self, place: Place, spent: float, reached: float, over: bool, progress: float) -> None:
        """What a trial has shown."""


class Incremental:
    """The trials of one submission, run by a policy.

    Args:
        trials: the plan, all of it.
        backend: where they run.
        display: what the user sees.
        policy: its configuration.

    Raises:
        ConfigError: the plan or the policy cannot be run in this way.
    """

    def __init__(
        self,
        trials: Sequence[Planned],
        backend: Backend,
        display: Display,
        policy: Mapping[str, Any],
    ) -> None:
        self._places = _places(trials)
        self._backend, self._display = backend, _Rounds(display)
        self._file = trials[0].folder.parents[2] / FILE
        workloads = {planned.workload: planned.spec.budget for planned in trials}
        shape = tuple(1 + max(place[axis] for place in self._places) for axis in (1, 2))
        try:
            self._policy = instantiate(policy)
            self._evaluation: Evaluation = self._policy.begin(
                trials[0].submission, list(workloads), list(workloads.values()), shape
            )
        except (ValueError, TypeError, OSError) as error:
            raise ConfigError(str(error), where="benchmark.policy") from error
        self._recall(bool(policy.get("halving")))

    def run(self) -> list[Outcome]:
        """Run until enough is known, or a trial fails for reasons that are not the submission's;
        the outcomes of what was run, without the submission's own failures: those are answers.
        """
        self._backend.prepare(list(self._places.values()))
        last: dict[Planned, Outcome] = {}
        while asks := self._evaluation.ask(self._backend.at_once()):
            asked = [self._asked(ask) for ask in asks]
            outcomes = dict(zip(asked, Sweep(asked, self._backend, self._display).run()))
            last |= outcomes
            if not all(outcome.status in AS_ASKED | MISSED for outcome in outcomes.values()):
                break
            for ask, planned in zip(asks, asked):
                self._evaluation.show(ask.place, **shown(planned))
            self._display.note(self._reported()[0])
        report = self._reported()
        self._display.close()
        self._display.note("\n".join(report))
        return [outcome for outcome in last.values() if outcome.status not in MISSED]

    def _asked(self, ask: Ask) -> Planned:
        planned = self._places[ask.place]
        planned.pause_at = ask.until
        return planned

    def _recall(self, halving: bool) -> None:
        """What the folders show from before."""
        for place, planned in self._places.items():
            if planned.started:
                self._evaluation.show(place, **shown(planned))
        if halving and self._file.exists():
            for place in json.loads(self._file.read_text())["dropped"]:
                self._evaluation.evidence.dropped[tuple(place)] = True

    def _reported(self) -> list[str]:
        """The lines of the policy's report, which stands in a file, too."""
        lines = str(self._policy.report(self._evaluation)).splitlines()
        evidence = self._evaluation.evidence
        dropped = [[int(n) for n in place] for place in zip(*evidence.dropped.nonzero())]
        self._file.parent.mkdir(parents=True, exist_ok=True)
        content = {"report": lines, "dropped": dropped}
        write_atomically(self._file, json.dumps(content, indent=2) + "\n")
        return lines


def shown(planned: Planned) -> dict[str, Any]:
    """What the folder of a trial that has begun shows, in the policy's words."""
    result = read_result(planned.folder) or {}
    clock = read_clock(planned.folder / CLOCK_FILE)  # survives a kill
    status = Status(result["status"]) if result else None
    reached = (result.get("time_to_target") or {}).get("validation")
    return {
        "spent": float(result.get("elapsed") or (clock[0] if clock else 0.0)),
        "reached": math.inf if reached is None else float(reached),
        "over": status in FINAL | MISSED or reached is not None,
        "progress": _progress(planned),
    }


def _progress(planned: Planned) -> float:
    spec = planned.spec
    try:
        rows = read_eval_rows(planned.folder)
    except OSError:
        return -math.inf
    found = best((row.get(f"validation/{spec.metric}") for row in rows), spec.direction)
    if found is None:
        return -math.inf
    return found if spec.direction == "max" else -found


def _places(trials: Sequence[Planned]) -> dict[Place, Planned]:
    names = sorted({planned.submission for planned in trials})
    if len(names) > 1:
        raise ConfigError(
            f"benchmark.policy: {len(names)} submissions ({', '.join(names)})",
            expected="one: its place among rivals is what is asked for",
            where="command line",
        )
    axes: list[list[Any]] = [
        list(dict.fromkeys(planned.workload for planned in trials)),
        sorted({planned.study for planned in trials}),
        sorted({planned.trial for planned in trials}),
    ]
    first, second, third = axes
    return {
        (first.index(p.workload), second.index(p.study), third.index(p.trial)): p for p in trials
    }


class _Rounds:
    """One display for many sweeps: it begins once, ends once, and knows all outcomes."""

    def __init__(self, inner: Display) -> None:
        self._inner, self._seen, self._begun = inner, dict[Planned, Outcome](), False

    def begin(self, place: str, outcomes: Outcomes) -> None:
        if not self._begun:
            self._inner.begin(place, {})
        self._begun = True

    def started(self, planned: Planned, running: Running) -> None:
        self._inner.started(planned, running)

    def finished(self, planned: Planned, outcome: Outcome) -> None:
        self._inner.finished(planned, outcome)

    def refresh(self, outcomes: Outcomes, places: Mapping[Planned, str]) -> None:
        self._inner.refresh({**self._seen, **outcomes}, places)

    def note(self, text: str) -> None:
        self._inner.note(text)

    def stopping(self, running: int, kill: bool) -> None:
        self._inner.stopping(running, kill)

    def end(self, outcomes: Outcomes) -> None:
        self._seen |= outcomes

    def close(self) -> None:
        """After the last sweep."""
        if self._begun:
            self._inner.end(self._seen)
