"""What would the scores be with other targets, shorter budgets, without some, or by steps?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from math import isfinite

from scoring.certainty.group import Group
from scoring.certainty.ranks import ranks
from scoring.certainty.sweeps import cut, relaxed
from scoring.certainty.table import Cell, Table
from scoring.errors import RulesError
from scoring.logs.trial import Logs
from scoring.rules.model import Rules
from scoring.times import trial_times


@dataclass(frozen=True)
class Changes:
    """What is to be different.

    Attributes:
        targets: new targets by workload.
        budgets: shorter budgets by workload, seconds.
        relax: by how many per cent a workload's target is easier; below 0, harder.
        exclude: workloads (a base takes its variant with it) or submissions.
        clock: "seconds" or "steps"; None: as the group is scored.
    """

    targets: dict[str, float]
    budgets: dict[str, float]
    exclude: tuple[str, ...] = ()
    clock: str | None = None
    relax: dict[str, float] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.targets or self.budgets or self.relax or self.exclude or self.clock)

    def words(self) -> Iterator[str]:
        """The changes for people."""
        yield from (f"target {name} = {value:g}" for name, value in self.targets.items())
        yield from (f"target {name} {share:g} % easier" for name, share in self.relax.items())
        yield from (f"budget {name} = {value:g} s" for name, value in self.budgets.items())
        yield from (f"without {name}" for name in self.exclude)
        if self.clock:
            yield f"by {self.clock}"


def assignments(texts: Sequence[str], flag: str) -> dict[str, float]:
    """{"wmt": 30.0} from ["wmt=30"].

    Raises:
        RulesError: not of the form WORKLOAD=NUMBER, not finite, or twice the same workload.
    """
    found: dict[str, float] = {}
    for text in texts:
        name, _, number = text.partition("=")
        try:
            value = float(number)
        except ValueError:
            value = float("nan")
        if not name or not isfinite(value) or name in found:
            raise RulesError(f"{flag} {text!r}: expected WORKLOAD=NUMBER, once for a workload")
        found[name] = value
    return found


def changed_group(logs: Logs, group: Group, changes: Changes, clock: str = "seconds") -> Group:
    """The group scored with the changes.

    Raises:
        RulesError: a name is unknown, a budget is longer than that of the runs, nothing is left.
    """
    rules = _changed_rules(group.rules, changes)
    clock = changes.clock or clock
    found = replace(group, trials=trial_times(logs, rules, clock), rules=rules)
    if changes.budgets:
        timed = trial_times(logs, rules, "seconds").seconds
        found = found.with_seconds(cut(found.trials.seconds, timed, _only(rules, changes.budgets)))
    for name in changes.exclude:
        if name in rules.names:
            if name in found.rules.names:
                found = found.with_rules(found.rules.without(name))
        elif name in group.names:
            found = found.without(name) if name in found.names else found
        else:
            known = ", ".join((*rules.names, *group.names))
            raise RulesError(f"--exclude {name!r}: no workload or submission; there are {known}")
    return found


def table(group: Group, changed: Group, changes: Changes) -> Table:
    """Scores and ranks before and after, in the order of the ranks after."""
    before = {name: s for s, name in enumerate(group.names)}
    after = ranks(changed.scores)
    rows: list[list[Cell]] = []
    for s in changed.order():
        name = changed.names[s]
        old, new = float(group.scores[before[name]]), float(changed.scores[s])
        row: list[Cell] = [int(after[s]), name, new, int(group.ranks[before[name]]), old, new - old]
        rows.append(row)
    columns = ("rank", "submission", "score", "rank before", "score before", "change")
    return Table("what_if", f"What if: {', '.join(changes.words())}", columns, rows)


def _changed_rules(rules: Rules, changes: Changes) -> Rules:
    _known(rules, changes)
    workloads = tuple(
        replace(
            w,
            target=changes.targets.get(
                w.name, relaxed(w, changes.relax.get(w.name, 0.0) / 100).target
            ),
            budget=changes.budgets.get(w.name, w.budget),
        )
        for w in rules.workloads
    )
    return replace(rules, workloads=workloads, changes=(*rules.changes, *changes.words()))


def _known(rules: Rules, changes: Changes) -> None:
    budgets = {workload.name: workload.budget for workload in rules.workloads}
    for name in (*changes.targets, *changes.budgets, *changes.relax):
        if name not in budgets:
            known = ", ".join(budgets)
            raise RulesError(f"{name!r} is no workload of these rules; there are {known}")
    for name, share in changes.relax.items():
        if name in changes.targets or not -100 < share < 100:
            raise RulesError(
                f"--relax {name}={share:g}: expected per cent between -100 and 100, and no "
                f"--target {name} beside it"
            )
    for name, seconds in changes.budgets.items():
        if not 0 < seconds <= budgets[name]:
            raise RulesError(
                f"--budget {name}={seconds:g}: the logs end at {budgets[name]:g} s, so that only a "
                "shorter budget can be answered; give seconds above 0 up to that"
            )


def _only(rules: Rules, budgets: dict[str, float]) -> Rules:
    """Only the budgets given cut: AlgoPerf's scores do not look at the others."""
    return replace(
        rules,
        workloads=tuple(
            w if w.name in budgets else replace(w, budget=float("inf")) for w in rules.workloads
        ),
    )
