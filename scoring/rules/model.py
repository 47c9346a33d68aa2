"""What are rules made of?  Workloads with targets and budgets, and how many studies and trials."""

from __future__ import annotations

from dataclasses import dataclass, replace

TAU_MAX = 4.0  # technical documentation of the benchmark, "Benchmark score"
EXCLUSION = 4.0  # same: a time over four times the fastest does not count


@dataclass(frozen=True)
class Workload:
    """What is asked on a workload.

    Attributes:
        column: of eval_measurements.csv, e.g. "validation/loss".
        goal: "min" or "max".
        target: a trial is timed to the first evaluation that has at least this quality.
        budget: seconds that a trial may take, with the ruleset's factor.
        base: of a held-out variant: the scored workload that it decides about; else "".
        test_column, test_target: the same on the test split, which is not scored; None: there is
            none.
        base_budget: seconds without the ruleset's factor.
    """

    name: str
    column: str
    goal: str
    target: float
    budget: float
    base: str = ""
    test_column: str = ""
    test_target: float | None = None
    base_budget: float = 0.0

    @property
    def held_out(self) -> bool:
        """A variant that decides whether its base counts."""
        return bool(self.base)


@dataclass(frozen=True)
class Rules:
    """Rules of one version and ruleset, perhaps changed by hand (`changes` says how).

    Attributes:
        name: of the rules, for people; "": AlgoPerf and the version.
        version: "0.5", ...; ruleset: "external" or "self".
        workloads: the scored ones first, then the held-out ones (W = B + H).
        studies, trials: how many the rules ask for; trials of one study.
        budget_factor: of the ruleset, within `Workload.budget`.
        hardware: class of machine on which published times were taken.
        tau_max: where profiles end.
        exclusion: a time over so many times the fastest does not count.
        changes: what was changed by hand, for people.
        hardware_mark: what was done about trials of different hardware; "" if nothing was.
    """

    version: str
    ruleset: str
    workloads: tuple[Workload, ...]
    studies: int
    trials: int
    budget_factor: float = 1.0
    hardware: str = ""
    qualification: tuple[str, ...] = ()
    name: str = ""
    tau_max: float = TAU_MAX
    exclusion: float = EXCLUSION
    changes: tuple[str, ...] = ()
    hardware_mark: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all workloads [W]."""
        return tuple(workload.name for workload in self.workloads)

    @property
    def scored(self) -> int:
        """B: how many are scored; held-out ones come after them."""
        return sum(not workload.held_out for workload in self.workloads)

    @property
    def base_of(self) -> tuple[int, ...]:
        """For each held-out workload, the place of its base among the scored ones [H]."""
        names = self.names
        return tuple(names.index(w.base) for w in self.workloads if w.held_out)

    @property
    def title(self) -> str:
        """For people: "AlgoPerf 0.5, external tuning"."""
        kind = {"external": "external tuning", "self": "self-tuning"}.get(self.ruleset, "")
        mark = f" ({self.hardware_mark})" if self.hardware_mark else ""
        return (self.name or f"AlgoPerf {self.version}") + (f", {kind}" if kind else "") + mark

    def without(self, workload: str) -> Rules:
        """Rules without a workload; a base takes its held-out variant with it."""
        kept = tuple(w for w in self.workloads if workload not in (w.name, w.base))
        return replace(self, workloads=kept, changes=(*self.changes, f"without {workload}"))

    def without_held_out(self) -> Rules:
        """Rules that score the base workloads alone."""
        kept = tuple(w for w in self.workloads if not w.held_out)
        return replace(self, workloads=kept, changes=(*self.changes, "no held-out workloads"))

    def only_qualification(self) -> Rules:
        """The cheaper set; one study in the external ruleset, as in the benchmark's rules."""
        kept = tuple(w for w in self.workloads if w.name in self.qualification)
        studies = 1 if self.ruleset == "external" else self.studies
        changes = (*self.changes, "qualification set")
        return replace(self, workloads=kept, studies=studies, changes=changes)
