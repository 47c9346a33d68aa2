"""What is a trial about, and how did it end?  From its configuration and its result, neither of
which is believed to be well formed.
"""

import math
from dataclasses import dataclass
from typing import Any

from algoperf_pt.spec import make_spec, meets
from algoperf_pt.status import Status
from algoperf_pt.supervise import Limits
from algoperf_pt.watch.clean import clean

MOST_BYTES = 1 << 20  # of a configuration or a result; ours have 10 kB
_MOST_POINTS = 60  # hyperparameters that are shown
_PATIENT = Limits(hang_steps=20.0, hang_floor=300.0, hang_timeout=1800.0, eval_timeout=7200.0)


@dataclass(frozen=True)
class Facts:
    """What stands in a configuration; None: it is not there, or no number.

    Args:
        metric: name of the target metric as it stands in the rows, not clean; "": unknown.
        larger: whether larger is better.
        strict: whether the target must be passed, not only met.
        target: on validation.
        budget: timed seconds.
        of_study: trials that the rule set has in a study.
        limits: how long the trial may be silent.
        hparams: names and values as text.
    """

    metric: str = ""
    larger: bool = True
    strict: bool = False
    target: float | None = None
    budget: float | None = None
    of_study: int | None = None
    limits: Limits = _PATIENT
    hparams: tuple[tuple[str, str], ...] = ()

    def reached(self, value: float) -> bool:
        """Whether `value` meets the target, as WorkloadSpec.reached says; never without one."""
        return self.target is not None and meets(value, self.target, self.larger, self.strict)


@dataclass(frozen=True)
class End:
    """What stands in result.json."""

    status: Status | None  # None: no status of ours
    message: str = ""
    elapsed: float | None = None
    step: float | None = None
    reached_at: float | None = None  # timed seconds, validation


def facts_of(config: dict[str, Any]) -> Facts:
    """The facts in a configuration; the defaults where it is not one of ours."""
    try:
        spec = make_spec(config)
        hparams = config["submission"]["hparams"] or {}
        ruleset = config["targets"]["rulesets"][config["ruleset"]["name"]]
        factor, of_study = number(spec.budget_factor), number(ruleset["trials"])
        runtime = number(spec.max_runtime)
        return Facts(
            metric=str(spec.metric)[:200],
            larger=spec.direction == "max",
            strict=spec.strict is True,
            target=number(spec.validation_target),
            budget=None if factor is None or runtime is None else factor * runtime,
            of_study=None if of_study is None else int(of_study),
            limits=_limits(config["trainer"]),
            hparams=tuple(_shown(item) for item in list(hparams.items())[:_MOST_POINTS]),
        )
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError):
        return Facts()


def end_of(result: dict[str, Any]) -> End:
    """The end that a result tells."""
    times = result.get("time_to_target")
    reached = times.get("validation") if isinstance(times, dict) else None
    try:
        status = Status(result.get("status"))
    except ValueError:
        status = None
    message = result.get("message", "")
    return End(
        status,
        clean(message.split("\n")[0], 400) if isinstance(message, str) else "",
        number(result.get("elapsed")),
        number(result.get("step")),
        number(reached),
    )


def number(value: Any) -> float | None:
    """A finite number, or None."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        found = float(value)
    except OverflowError:
        return None
    return found if math.isfinite(found) else None


def _limits(trainer: dict[str, Any]) -> Limits:
    found = {name: number(trainer.get(name)) for name in vars(_PATIENT)}
    return Limits(**{name: value or getattr(_PATIENT, name) for name, value in found.items()})


def _shown(item: tuple[str, Any]) -> tuple[str, str]:
    name, value = item
    return clean(name, 60), clean(f"{value:.6g}" if isinstance(value, float) else value, 60)
