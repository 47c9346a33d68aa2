"""What does a submission do to each tensor of a workload?  Found by setting it up and making one
update, without data and, where the model is large, without memory for it.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import psutil
import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.overrides import TorchFunctionMode

from algoperf_pt.assemble import make_submission, make_workload
from algoperf_pt.errors import AlgoperfError, ConfigError
from algoperf_pt.hparams import Hparams
from algoperf_pt.ranks import Ranks
from algoperf_pt.roles import ParamType
from algoperf_pt.spec import WorkloadSpec, make_spec
from algoperf_pt.submission import Submission
from algoperf_pt.updates import Update
from algoperf_pt.view import Engine, TimeView, WorkloadView
from algoperf_pt.workload import Workload

MatrixView = Callable[[Sequence[int], ParamType], Sequence[int] | None]

_SMALL = 1 << 20  # elements: up to here one real update costs nothing worth saving
_NEEDED = 24  # bytes an element on the CPU: it, its gradient, and state of four times its size
_SNAPSHOTS = 32  # of averaged weights: more than the published queues hold


@dataclass(frozen=True)
class TensorFacts:
    """One parameter.  `optimizer` is a number in `Anatomy.updates`, `group` one in its groups; None
    for a tensor that nothing updates.  `state` is in bytes.
    """

    name: str
    role: str
    shape: tuple[int, ...]
    view: str
    optimizer: int | None
    group: int | None
    lr: float | None
    weight_decay: float | None
    state: int

    @property
    def elements(self) -> int:
        """Numbers in the tensor."""
        return torch.Size(self.shape).numel()


@dataclass(frozen=True)
class Anatomy:
    """A submission on a workload."""

    spec: WorkloadSpec
    tensors: list[TensorFacts]
    updates: list[Update]
    groups: list[list[dict[str, Any]]]  # settings of each update's groups, before the first step
    other_state: int  # bytes that belong to no single parameter: averages, counters
    measured: str  # how the state was measured
    settings: dict[str, Any]  # batch size, clipping, ...
    dropout: Callable[[int], float] | None = None  # its schedule
    notes: list[str] = field(default_factory=list)


def dissect(config: dict[str, Any], matrix_view: MatrixView) -> Anatomy:
    """Set the submission up and make one update with small random gradients: on the CPU for small
    models, else on shapes alone (torch's meta device), which gives the same shapes and types.  A
    rule that needs values to decide is run on the CPU where the memory is enough.

    Args:
        config: composed configuration; no data are needed.
        matrix_view: (shape, role) -> [rows, columns], or None for what is no matrix.

    Raises:
        AlgoperfError: what the set-up of the trial would raise.
    """
    with torch.device("meta"):
        workload = _workload(config)
    elements = sum(p.numel() for p in workload.model.parameters())
    if elements > _SMALL:
        try:
            with _Shapes():
                return _dissect_on(workload, config, matrix_view, "one update on shapes alone")
        except AlgoperfError:
            raise
        except Exception as error:  # of any kind: what a meta tensor cannot do is up to the rule
            _check_memory(elements * _NEEDED, error)
    workload = _workload(config)
    workload.reset_parameters(torch.Generator().manual_seed(0))
    return _dissect_on(workload, config, matrix_view, "one update on the CPU")


class _Shapes(TorchFunctionMode):
    """On the meta device a copy to another device is a shape too."""

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if function in (Tensor.to, Tensor.cpu) and args[0].is_meta:
            named = [a for a in (*args[1:], *kwargs.values()) if isinstance(a, torch.dtype)]
            return torch.empty_like(args[0], dtype=named[0] if named else None)
        return function(*args, **kwargs)


def _check_memory(needed: int, error: Exception) -> None:
    free = psutil.virtual_memory().available
    if needed > free:
        raise ConfigError(
            f"this submission cannot be set up and updated on shapes alone: {error}",
            expected=f"{needed / 1e9:.0f} GB of free memory to do it in full; {free / 1e9:.0f} are",
            fix="a smaller workload, or a machine with more memory",
        ) from error


def _workload(config: dict[str, Any]) -> Workload:
    return make_workload(config, make_spec(config), None).train()  # type: ignore[arg-type]


def _dissect_on(
    workload: Workload, config: dict[str, Any], matrix_view: MatrixView, measured: str
) -> Anatomy:
    parameters = dict(workload.model.named_parameters())
    view = _view(workload, next(iter(parameters.values())).device)
    submission = make_submission(config["submission"])
    hparams = Hparams(config["submission"]["hparams"], set(config["submission"]["read"]))
    settings = _settings(config, submission.batch_size(workload.spec))
    submission.setup(view, hparams)
    updates = _updates(submission)
    groups = [[_settings_of(g) for g in update.optimizer.param_groups] for update in updates]
    _update_once(list(parameters.values()), submission, updates)
    places = _places(updates, groups)
    counted: set[int] = set()
    tensors = []
    for name, p in parameters.items():
        role = workload.param_types[name]
        place = places.get(id(p), _Place())
        state = {} if place.rule is None else place.rule.state.get(p, {})
        seen = _as_seen(p, role, place.rule, matrix_view)
        facts = (name, role.value, tuple(p.shape), seen, *place.numbers)
        tensors.append(TensorFacts(*facts, place.lr, place.weight_decay, _bytes(state, counted)))
    every = (submission.state_dict(), submission.rank_state_dict())
    dropout = getattr(submission, "dropout_rate", None)
    return Anatomy(
        spec=workload.spec,
        tensors=tensors,
        updates=updates,
        groups=groups,
        other_state=max(0, _bytes(every, set()) - sum(t.state for t in tensors)),
        measured=measured,
        settings=settings,
        dropout=dropout if isinstance(config["submission"]["dropout_rate"], dict) else None,
        notes=_notes(submission, config, hparams),
    )


def _view(workload: Workload, device: torch.device) -> WorkloadView:
    """What a trial gives to `setup`, where nothing can be trained or evaluated."""

    def refuse(*arguments: Any, **named: Any) -> Any:
        raise ConfigError(
            "the submission trains or evaluates in its set-up",
            expected="a set-up that makes optimizers from the parameters",
            where="Submission.setup",
        )

    time = TimeView(workload.spec.budget, lambda: 0.0, lambda: [])
    passes = Engine(refuse, refuse)
    return WorkloadView(
        workload, passes, Ranks(device), time, 0, lambda: 0, lambda: False, evaluate=refuse
    )


def _settings(config: dict[str, Any], batch_size: int) -> dict[str, Any]:
    """What holds for the whole submission; None: nothing of the kind."""
    submission, default = config["submission"], config["workload"]["dropout_rate"]
    rate, share = submission["dropout_rate"], submission["stop_factor"]
    dropout = rate["_target_"] if isinstance(rate, dict) else default if rate is None else rate
    return {
        "batch size": batch_size,
        "clipping": submission["grad_clip"],
        "label smoothing": submission["label_smoothing"] or 0.0,
        "dropout": None if default is None else dropout,
        "average": (submission["average"] or {}).get("_target_"),
        "ends after": None if share is None else f"{share:g} of the step hint",
    }


def _updates(submission: Submission) -> list[Update]:
    """Those of an OptimizerSubmission; of another class the optimizers among its attributes."""
    made: list[Update] | None = getattr(submission, "updates", None)
    if made is not None:
        return made
    return [Update(found) for found in _optimizers(vars(submission))]


def _optimizers(value: Any) -> Iterator[Optimizer]:
    if isinstance(value, Optimizer):
        yield value
    elif isinstance(value, (dict, list, tuple)):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _optimizers(part)


def _update_once(
    parameters: list[torch.nn.Parameter], submission: Submission, updates: list[Update]
) -> None:
    generator = torch.Generator().manual_seed(1)
    for p in parameters:
        p.grad = torch.empty_like(p)
        if p.device.type != "meta":
            p.grad.normal_(0.0, 1e-3, generator=generator)
    for update in updates:
        step: Any = update.optimizer.step
        if update.needs_closure:
            step(lambda: torch.zeros((), device=parameters[0].device))
        else:
            step()
    average = getattr(submission, "average", None)
    if average is not None:
        start, interval = getattr(average, "start", 0), getattr(average, "interval", 1)
        for number in range(_SNAPSHOTS):
            average.update(parameters, start + number * interval)


@dataclass(frozen=True)
class _Place:
    """Where a parameter is updated."""

    numbers: tuple[int | None, int | None] = (None, None)  # of the optimizer, of its group
    rule: Optimizer | None = None
    lr: float | None = None
    weight_decay: float | None = None


def _settings_of(group: dict[str, Any]) -> dict[str, Any]:
    """Plain values only; the learning rate before schedules, torch's own included."""
    plain = (bool, int, float, str, tuple, list, type(None))
    kept = {key: value for key, value in group.items() if isinstance(value, plain)}
    rate = float(kept.pop("initial_lr", group["lr"]))
    return {"lr": rate} | {k: v for k, v in kept.items() if k not in ("params", "lr")}


def _places(updates: list[Update], groups: list[list[dict[str, Any]]]) -> dict[int, _Place]:
    places: dict[int, _Place] = {}
    for number, update in enumerate(updates):
        rule = update.optimizer
        for g, (group, settings) in enumerate(zip(rule.param_groups, groups[number])):
            place = _Place((number, g), rule, settings["lr"], settings.get("weight_decay"))
            places |= {id(p): place for p in group["params"]}
    return places


def _as_seen(p: Tensor, role: ParamType, rule: Optimizer | None, matrix_view: MatrixView) -> str:
    """A rule's own words about a parameter (its method `describe`), else the matrix."""
    describe = getattr(rule, "describe", None)
    if describe is not None:
        return str(describe(p))
    shape = matrix_view(p.shape, role)
    return "-" if shape is None else " x ".join(map(str, shape))


def _bytes(state: Any, counted: set[int]) -> int:
    """Of all tensors in nested containers that were not counted yet."""
    if isinstance(state, Tensor):
        new = id(state) not in counted
        counted.add(id(state))
        return state.numel() * state.element_size() if new else 0
    if isinstance(state, dict):
        return _bytes(list(state.values()), counted)
    if isinstance(state, Iterable) and not isinstance(state, str):
        return sum(_bytes(part, counted) for part in state)
    return 0


def _notes(submission: Submission, config: dict[str, Any], hparams: Hparams) -> list[str]:
    notes = []
    dropped = getattr(submission, "dropped", ())
    if dropped:
        name = config["submission"]["optimizer"]["_target_"]
        notes.append(f"{name} takes no {', '.join(dropped)}; left out")
    if hparams.unread():
        notes.append(f"nothing has read {', '.join(hparams.unread())} yet")
    return notes
