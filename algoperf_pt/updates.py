"""Which optimizer updates which parameter, at which rate?  Made from a submission's YAML.

A selector (`where` in the YAML) is an object that is called with a parameter's name, the parameter
and its role, and says whether it is meant; optimizers/where.py has the usual ones.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import nn
from torch.optim import Optimizer

from algoperf_pt.errors import ConfigError, SubmissionError
from algoperf_pt.instantiate import import_object, instantiate
from algoperf_pt.roles import ParamType
from algoperf_pt.view import WorkloadView

Selector = Callable[[str, nn.Parameter, ParamType], bool]
Named = list[tuple[str, nn.Parameter, ParamType]]


class Update:
    """One optimizer with its schedule.

    Args:
        optimizer: over the parameters that it updates.
        schedule: step -> factor on the learning rate of every group; None: constant.
        dropped: keyword arguments that the class does not take.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        schedule: Callable[[int], float] | None = None,
        dropped: tuple[str, ...] = (),
    ) -> None:
        self.optimizer, self.schedule, self.dropped = optimizer, schedule, dropped
        self._peaks = [float(group["lr"]) for group in optimizer.param_groups]
        closure = inspect.signature(optimizer.step).parameters.get("closure")
        # whether `step` must be given one (LBFGS, schedule-free)
        self.needs_closure = closure is not None and closure.default is inspect.Parameter.empty

    def set_learning_rate(self, step: int) -> None:
        """That of a step (0-based), in every group."""
        if self.schedule is None:
            return
        factor = self.schedule(step)
        for group, peak in zip(self.optimizer.param_groups, self._peaks):
            group["lr"] = peak * factor


def make_updates(
    workload: WorkloadView,
    optimizer: Mapping[str, Any],
    schedule: Mapping[str, Any] | None,
    groups: Sequence[Mapping[str, Any]] = (),
    others: Sequence[Mapping[str, Any]] = (),
    given: Sequence[str] = (),
) -> list[Update]:
    """The main update first, then those of `others` in their order.

    Args:
        workload: whose parameters are updated.
        optimizer: {"_target_": dotted path of a torch.optim.Optimizer, **keyword arguments}.
        schedule: {"_target_": class of the schedule, ...}, which also gets `step_hint`.
        groups: of the main optimizer: {"where": selector, **settings of the group}; a parameter
            belongs to the first that selects it.
        others: {"where": selector, "optimizer": ..., "schedule": ...} for parameters that the main
            optimizer does not get; without "schedule" the main one's.
        given: keyword arguments of the main optimizer that the user typed; others are dropped, with
            a note, if the class does not take them.

    Raises:
        ConfigError: a class that is no optimizer or takes no such argument.
        SubmissionError: no parameter is left for the main one.
    """
    rest: Named = [(n, p, workload.param_types[n]) for n, p in workload.named_parameters()]
    made: list[Update] = []
    for number, other in enumerate(others):
        chosen, rest = _split(rest, instantiate(other["where"]))
        if chosen:  # a workload without embeddings has none for their optimizer
            own = other.get("schedule", schedule)
            where = f"submission.others[{number}].optimizer"
            made.append(_make(workload, other["optimizer"], own, [_group(chosen)], None, where))
    parts = []
    for group in groups:
        chosen, rest = _split(rest, instantiate(group["where"]))
        settings = {key: value for key, value in group.items() if key != "where"}
        parts.append(_group(chosen, settings))
    parts = [part for part in (_group(rest), *parts) if part["params"]]
    if not parts:
        raise SubmissionError(
            "submission.others take every parameter of this workload",
            expected="at least one for submission.optimizer",
        )
    main = _make(workload, optimizer, schedule, parts, given, "submission.optimizer")
    return [main, *made]


def _split(named: Named, selector: Selector) -> tuple[Named, Named]:
    meant = [bool(selector(*entry)) for entry in named]
    chosen = [entry for entry, yes in zip(named, meant) if yes]
    return chosen, [entry for entry, yes in zip(named, meant) if not yes]


def _group(named: Named, settings: Mapping[str, Any] = {}) -> dict[str, Any]:
    return {"params": [p for _, p, _ in named], **settings}


def _make(
    workload: WorkloadView,
    optimizer: Mapping[str, Any],
    schedule: Mapping[str, Any] | None,
    groups: list[dict[str, Any]],
    given: Sequence[str] | None,
    where: str,
) -> Update:
    kind = import_object(optimizer["_target_"], f"{where}._target_")
    if not (isinstance(kind, type) and issubclass(kind, Optimizer)):
        raise ConfigError(
            f"{where}._target_={optimizer['_target_']} is no optimizer",
            expected="a subclass of torch.optim.Optimizer",
            where=f"{where}._target_",
            fix="name a class of torch.optim or optimizers, or one of your own",
        )
    kwargs = {key: value for key, value in optimizer.items() if key != "_target_"}
    unknown = _unknown(kind, kwargs)
    typed = unknown if given is None else [key for key in unknown if key in given]
    if typed:
        raise ConfigError(
            f"{optimizer['_target_']} takes no argument {typed[0]!r}",
            expected=f"one of {', '.join(inspect.signature(kind).parameters)}",
            where=f"{where}.{typed[0]}",
            fix="leave it out, or name an argument of the class",
        )
    kept = {key: value for key, value in kwargs.items() if key not in unknown}
    # one group without settings is handed over as a list of tensors: any optimizer takes that
    params = groups[0]["params"] if len(groups) == 1 and len(groups[0]) == 1 else groups
    hint = {"step_hint": workload.spec.step_hint}
    made = instantiate(schedule, **hint) if schedule else None
    return Update(kind(params, **kept), made, tuple(unknown))


def _unknown(kind: type, kwargs: Mapping[str, Any]) -> list[str]:
    accepted = inspect.signature(kind).parameters
    if any(p.kind is inspect.Parameter.VAR_KEYWORD for p in accepted.values()):
        return []
    return [key for key in kwargs if key not in accepted]
