"""What did an examination find?  A line of facts, and a line for each problem with its fix."""

from collections.abc import Callable
from dataclasses import dataclass, field

from algoperf_pt.errors import AlgoperfError


@dataclass(frozen=True)
class Problem:
    """Something that would spoil a trial.

    Attributes:
        text: what is wrong, with its value.
        fix: what to do, a command where there is one.
    """

    text: str
    fix: str


@dataclass
class Examined:
    """One part of the machine.

    Attributes:
        part: "versions", "gpu", ...
        facts: what is there, for the summary.
        problems: in the order in which they were seen.
    """

    part: str
    facts: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def wrong(self, text: str, fix: str) -> None:
        """Add a problem."""
        self.problems.append(Problem(_line(text), _line(fix)))

    def lines(self) -> list[str]:
        """The facts in one line, then the problems."""
        told = [f"problem: {self.part}: {p.text}; fix: {p.fix}" for p in self.problems]
        return [f"{self.part}: {_line('; '.join(self.facts))}" if self.facts else "", *told]

    def as_dict(self) -> dict[str, object]:
        """Plain values, for --json."""
        problems = [{"text": p.text, "fix": p.fix} for p in self.problems]
        return {"facts": list(self.facts), "problems": problems}


def examined(part: str, look: Callable[[Examined], None]) -> Examined:
    """What `look` adds; where it fails, that is a problem and what it found before stands."""
    found = Examined(part)
    try:
        look(found)
    except AlgoperfError as error:
        where = f" ({error.where})" if error.where else ""
        expected = f", expected {error.expected}" if error.expected else ""
        found.wrong(f"{error.problem}{expected}{where}", error.fix or "see docs/doctor.md")
    except Exception as error:  # a broken machine breaks in any way; the other parts go on
        text = f"could not be examined: {type(error).__name__}: {error}"
        found.wrong(text, "mend that first, then run the doctor again")
    return found


def _line(text: str) -> str:
    """One line that a terminal does not obey."""
    return "".join(c if c.isprintable() else " " for c in " ".join(text.split()))
