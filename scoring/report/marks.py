"""Why does a cell of a time table not count?  Each reason has a mark, a word and a sentence.

The marks are those of the published results: dagger and double dagger for the two rules of held-out
workloads; "over_4x" has none there and gets a section sign.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Mark:
    """A reason why a cell does not count.

    Attributes:
        symbol: behind a time that is there, or alone in a cell.
        latex: the same for LaTeX.
        text: what it means; `{factor}` is the rules' factor of exclusion.
        alone: there is no time to show.
    """

    symbol: str
    latex: str
    text: str
    alone: bool = False


MARKS = {
    "target_not_reached": Mark("∞", r"$\infty$", "target not reached", alone=True),
    "missing": Mark("*", r"$*$", "no evaluations in the logs", alone=True),
    "base_not_finite": Mark(
        "†", r"\dag", "held-out time ignored: the base workload's target was not reached"
    ),
    "held_out_failed": Mark("‡", r"\ddag", "base time ignored: its held-out variant failed"),
    "over_4x": Mark("§", r"\S", "over {factor} times the fastest"),
}
_UNKNOWN = Mark("?", "?", "excluded for another reason")


def mark_of(reason: str) -> Mark:
    """The mark of a reason, e.g. of `held_out_failed:ogbg_model_size`."""
    return MARKS.get(reason.partition(":")[0], _UNKNOWN)


def sentence(reason: str, factor: float) -> str:
    """A reason in words: with the workload that it names."""
    detail = reason.partition(":")[2]
    text = mark_of(reason).text.format(factor=f"{factor:g}")
    return f"{text} ({detail})" if detail else text
