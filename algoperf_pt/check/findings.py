"""What can a check say?  Pass, warn or fail, with the evidence and the fix; one line a check.

No torch here.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

PASS, WARN, FAIL = "pass", "warn", "fail"

# Every check with the question that it answers, in the order of the report.
CHECKS = {
    "contract": "are the interface's methods there, with its arguments and results?",
    "runs": "does it train on every workload?",
    "hyperparameters": "does something read each of them?",
    "space": "is there one space for all workloads?",
    "names": "does it choose by a workload's name?",
    "shapes": "does it know a workload by its shapes or sizes?",
    "lookups": "does it look up stored numbers?",
    "private": "does it reach into the harness?",
    "parameters": "are the model and its parameters what they were?",
    "functions": "are the fixed functions what they were?",
    "pause": "does everything rest while the clock stands?",
    "data": "does it read data that it is not given?",
    "clock": "are the clocks untouched?",
    "randomness": "are the harness's generators untouched?",
    "environment": "are variables, global flags and hooks untouched?",
    "dependencies": "does it need more than the benchmark has?",
}


@dataclass(frozen=True)
class Finding:
    """Something that a check saw.

    Args:
        check: a name in CHECKS.
        verdict: WARN (a person must judge) or FAIL.
        evidence: what was seen.
        where: file and line, if there is one.
        fix: what to do.
        workload: on which it was seen; "": in the source.
    """

    check: str
    verdict: str
    evidence: str
    where: str = ""
    fix: str = ""
    workload: str = ""

    def __post_init__(self) -> None:
        if self.check not in CHECKS or self.verdict not in (WARN, FAIL):
            raise ValueError(f"no check {self.check!r} with verdict {self.verdict!r}")


@dataclass
class Report:
    """All that was found about a submission.

    Args:
        name: of the submission.
        workloads: on which it was run.
        findings: of all checks.
        passed: check -> what a pass rests on.
        not_done: check -> why it could not be made.
    """

    name: str
    workloads: Sequence[str]
    findings: list[Finding] = field(default_factory=list)
    passed: dict[str, str] = field(default_factory=dict)
    not_done: dict[str, str] = field(default_factory=dict)

    def verdict(self, check: str) -> str:
        """The worst that was found.  A check that could not be made is no pass."""
        found = {f.verdict for f in self.findings if f.check == check}
        if FAIL in found:
            return FAIL
        return WARN if WARN in found or check in self.not_done else PASS

    @property
    def worst(self) -> str:
        """Of all checks."""
        found = {self.verdict(check) for check in CHECKS}
        return next(v for v in (FAIL, WARN, PASS) if v in found)

    def exit_code(self, strict: bool) -> int:
        """0 or 1; with `strict` a warning counts as a failure."""
        return int(self.worst == FAIL or (strict and self.worst == WARN))

    def lines(self) -> list[str]:
        """The report as it is printed: a line a check, then its findings."""
        width = max(map(len, CHECKS))
        lines = []
        for check in CHECKS:
            found = grouped(f for f in self.findings if f.check == check)
            count = f"{len(found)} finding{'s' if len(found) > 1 else ''}"
            said = count if found else self.not_done.get(check) or self.passed.get(check, "")
            lines.append(f"{self.verdict(check)}  {check.ljust(width)}  {said}".rstrip())
            for finding, workloads in found:
                lines += [f"      {text}" for text in _told(finding, workloads)]
        return lines

    def as_json(self) -> str:
        """All of it, for other programs."""
        checks = [
            {
                "check": check,
                "question": question,
                "verdict": self.verdict(check),
                "rests_on": self.passed.get(check, ""),
                "not_done": self.not_done.get(check, ""),
                "findings": [asdict(f) for f in self.findings if f.check == check],
            }
            for check, question in CHECKS.items()
        ]
        report: dict[str, Any] = {
            "submission": self.name,
            "workloads": list(self.workloads),
            "verdict": self.worst,
            "checks": checks,
        }
        return json.dumps(report, indent=2) + "\n"


def grouped(findings: Iterable[Finding]) -> list[tuple[Finding, list[str]]]:
    """Findings that differ in their workloads alone, together; failures first."""
    groups: dict[tuple[str, ...], tuple[Finding, list[str]]] = {}
    for finding in findings:
        key = (finding.verdict, finding.evidence, finding.where, finding.fix)
        workloads = groups.setdefault(key, (finding, []))[1]
        if finding.workload and finding.workload not in workloads:
            workloads.append(finding.workload)
    return sorted(groups.values(), key=lambda group: group[0].verdict != FAIL)


def _told(finding: Finding, workloads: Sequence[str]) -> list[str]:
    on = f" ({', '.join(workloads)})" if workloads else ""
    where = f"{finding.where}: " if finding.where else ""
    lines = [f"{finding.verdict}: {where}{finding.evidence}{on}"]
    return lines + ([f"fix: {finding.fix}"] if finding.fix else [])
