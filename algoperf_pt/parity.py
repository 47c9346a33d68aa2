"""Does a workload compute what the reference does?  Compares it with a golden fixture, key by key.

A workload's own part is a subclass of `Parity` in workloads/<name>/parity.py: the table of tensor
names, the tolerances, and the keys that only it has.  Keys are written FILE/KEY, as case0/loss.
"""

import re
from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from algoperf_pt.agreement import (
    EXACT,
    INIT_TOLERANCES,
    Array,
    Check,
    Tolerance,
    error,
    init_errors,
    matches,
)
from algoperf_pt.errors import DataError
from algoperf_pt.golden import Fixture, filled
from algoperf_pt.workload import Loss, Workload
from algoperf_pt.workload_data import Batch

Answer = Callable[..., Any]


class Parity:
    """Subclass this; a subclass with nothing but tolerances serves a workload that has the names of
    the reference and a batch of `inputs`, `targets` and `weights`.

    Args:
        fixture: the golden folder.
        workload: on the CPU; its weights are overwritten.
        options: of the data (conf/workload: data.options), for preprocessing.
        overrides: key pattern -> limit, from the command line; they come before `tolerances`.
    """

    tolerances: dict[str, Tolerance] = {}  # key pattern -> tolerance; the first match counts
    left_out: tuple[str, ...] = ()  # patterns of buffers that ours has in another form
    unbounded: tuple[str, ...] = ()  # patterns of tensors drawn from a distribution without bounds

    def __init__(
        self,
        fixture: Fixture,
        workload: Workload,
        options: dict[str, Any],
        overrides: dict[str, float] | None = None,
    ) -> None:
        self.fixture, self.workload, self.options = fixture, workload, options
        self.overrides = overrides or {}
        self.named = dict(workload.model.state_dict(keep_vars=True))
        self.not_checked: list[str] = []

    # ---- what a workload defines

    def place(self, name: str) -> tuple[str, slice | None]:
        """Where a tensor of the reference is in ours: (name, rows of it; None: all of it)."""
        return name, None

    def batch(self) -> Batch:
        """The inputs of case0, with `targets` and `weights`."""
        names = ("inputs", "targets", "weights")
        return {name: torch.from_numpy(self.fixture.case[name]) for name in names}

    def answers(self) -> dict[str, Answer]:
        """Regular expression of keys -> what we compute for it, called with the groups."""
        parts = r"loss_ls([01])_(nomask|mask)_(summed|n_valid|per_example)"
        return {
            "case0/eval_logits": lambda: self.eval_logits,
            f"case0/{parts}": self.loss_part,
            "case0/train_(logits|loss|grad_l2|bn_stats_l2)": lambda part: self.trained[part],
            "case0/tiny_train_logits": self.tiny_train_logits,
        }

    def more_checks(self) -> Iterator[Check]:
        """Checks of files that are no .npz (`fixture.json`), or that take several keys together."""
        return iter(())

    def role(self, entry: dict[str, Any]) -> str | None:
        """The role that a tensor of the reference should have; None: any (it is a buffer)."""
        found: str | None = entry["type"]
        return found

    # ---- the comparison

    def checks(self) -> Iterator[Check]:
        """Every check of the fixture; afterwards `not_checked` names the keys that have none."""
        yield from self.model_checks()
        answers = self.answers()
        compared: set[str] = set()
        for file in self.fixture.files.values():
            for key in file:
                full = f"{file.name}/{key}"
                tried = ((re.fullmatch(pattern, full), answers[pattern]) for pattern in answers)
                found = next(((match, answer) for match, answer in tried if match), None)
                if found is not None:
                    compared.add(full)
                    yield self._answered(full, found[1], found[0].groups(), file[key])
        yield from self.more_checks()
        yield from self.frozen_checks()
        yield from self.init_checks()
        read = {f"{f.name}/{key}" for f in self.fixture.files.values() for key in f.read}
        every = [f"{f.name}/{key}" for f in self.fixture.files.values() for key in f]
        self.not_checked += [key for key in every if key not in read | compared]
        for path in sorted(self.fixture.root.iterdir()):
            if path.suffix != ".npz" and path.name not in self.fixture.read:
                self.not_checked.append(path.name)

    def _answered(self, key: str, answer: Answer, groups: Any, expected: Array) -> Check:
        try:
            return self.compare(key, answer(*groups), expected)
        except (RuntimeError, ValueError, IndexError, TypeError) as problem:  # inputs we cannot use
            text = str(problem).strip().splitlines() or [type(problem).__name__]
            return Check(key, float("inf"), self.tolerance(key), text[0])

    def compare(self, key: str, found: Any, expected: Array, note: str = "") -> Check:
        """Check one value against the fixture's."""
        values = found.detach().numpy() if isinstance(found, Tensor) else np.asarray(found)
        tolerance = self.tolerance(key)
        if values.shape != expected.shape:
            note = f"shape {list(values.shape)}, expected {list(expected.shape)}"
        return Check(key, error(values, expected, tolerance.kind), tolerance, note)

    def tolerance(self, key: str) -> Tolerance:
        """The tolerance of a key; exact where nothing is said."""
        own = self.tolerances | INIT_TOLERANCES
        base = next((own[pattern] for pattern in own if fnmatchcase(key, pattern)), EXACT)
        limits = [limit for pattern, limit in self.overrides.items() if matches(key, pattern)]
        return Tolerance(limits[-1], base.kind) if limits else base

    # ---- the model

    def tensor(self, name: str) -> Tensor:
        """Our values of a tensor of the reference (a view)."""
        ours, rows = self.place(name)
        if ours not in self.named:
            raise DataError(
                f"params.json: the model has no tensor {ours!r} for {name!r}",
                expected=", ".join(self.named),
                fix="mend the workload's table of names (parity.py) or the fixture",
            )
        found: Tensor = self.named[ours]
        return found if rows is None else found[rows]

    @torch.no_grad()
    def fill(self) -> Workload:
        """Write the weights of the recipe; returns the workload."""
        for name, values in self._filling.items():
            self.tensor(name).copy_(values)
        return self.workload

    @cached_property
    def _filling(self) -> dict[str, Tensor]:
        """Tensor of the reference -> its values by the recipe, where it has one."""
        made = {entry["name"]: filled(entry) for entry in self._compared()}
        # numpy makes scalars of what has no dimensions
        arrays = {name: np.asarray(values) for name, values in made.items() if values is not None}
        return {name: torch.from_numpy(values) for name, values in arrays.items()}

    def model_checks(self) -> Iterator[Check]:
        """Number and shapes of parameters, roles, and the settings of normalisation layers."""
        ours = dict(self.workload.model.named_parameters())
        count = sum(parameter.numel() for parameter in ours.values())
        yield self.compare("params/n_params", count, np.asarray(self.fixture.params["n_params"]))
        wrong, roles, covered = [], [], 0
        for entry in self._compared():
            found = self.tensor(entry["name"])
            covered += found.numel() if entry["kind"] == "param" else 0
            if list(found.shape) != entry["shape"]:
                wrong.append(f"{entry['name']} is {list(found.shape)}, not {entry['shape']}")
            elif (wanted := self.role(entry)) is not None:
                role = self.workload.param_types[self.place(entry["name"])[0]].name
                if role != wanted:
                    roles.append(f"{entry['name']} is {role}, not {wanted}")
        if wrong:
            raise DataError(f"params.json: {wrong[0]}", fix="build the model of the fixture")
        named = "" if covered == count else f"{covered} of {count} elements are named"
        yield self.compare("params/tensors", covered, np.asarray(count), named)
        yield self.compare("params/roles", len(roles), np.asarray(0), "; ".join(roles))
        norms = [text for norm in self.fixture.params.get("norms", []) for text in self._norm(norm)]
        yield self.compare("params/norms", len(norms), np.asarray(0), "; ".join(norms))

    def _compared(self) -> Iterator[dict[str, Any]]:
        for entry in self.fixture.tensors:
            if not any(fnmatchcase(entry["name"], pattern) for pattern in self.left_out):
                yield entry

    def _norm(self, expected: dict[str, Any]) -> Iterator[str]:
        modules = dict(self.workload.model.named_modules())
        module = modules.get(self.module_name(expected["module"]))
        for key in ("eps", "momentum", "affine", "track_running_stats"):
            if expected.get(key) is not None and getattr(module, key, None) != expected[key]:
                yield f"{expected['module']}.{key} is {getattr(module, key, None)}"

    def module_name(self, name: str) -> str:
        """Our name of a module of the reference, by the place of its weight."""
        return self.place(f"{name}.weight")[0].rpartition(".")[0]

    # ---- what most fixtures hold

    @cached_property
    def eval_logits(self) -> Tensor:
        """Outputs in evaluation mode."""
        with torch.no_grad():
            logits: Tensor = self.fill().eval()(self.batch())
        return logits

    def loss_part(self, smoothing: str, mask: str, part: str) -> Tensor:
        """A field of the training loss of the evaluation outputs; "1" is label smoothing 0.1."""
        loss = self.loss(self.eval_logits, mask == "mask", int(smoothing) / 10)
        value: Tensor = getattr(loss, part)
        return value

    def loss(self, logits: Tensor, masked: bool, smoothing: float = 0.0) -> Loss:
        """The training loss of case0, with or without its weights."""
        batch = self.batch()
        if not masked:
            del batch["weights"]
        return self.workload.loss(batch, logits, smoothing)

    @cached_property
    def trained(self) -> dict[str, Any]:
        """One training pass without dropout: logits, mean loss, norms of gradients and of running
        statistics.
        """
        workload = self.fill().train()
        workload.zero_grad()
        logits = workload(self.batch(), dropout_rate=0.0)
        loss = self.loss(logits, masked=False)
        mean = loss.summed / loss.n_valid
        torch.autograd.backward(mean)
        buffers = [t for t in self.fixture.tensors if "running_" in t["name"]]
        return {
            "logits": logits.detach(),
            "loss": mean.detach(),
            "grad_l2": np.array([self._grad_norm(t["name"]) for t in self.fixture.parameters]),
            "bn_stats_l2": np.array([norm(self.tensor(t["name"])) for t in buffers]),
        }

    def _grad_norm(self, name: str) -> float:
        ours, rows = self.place(name)
        gradient = self.named[ours].grad
        if gradient is None:
            return 0.0
        return norm(gradient if rows is None else gradient[rows])

    def tiny_train_logits(self) -> Tensor:
        """Training pass on a thousandth of the inputs: feels the eps of the norms."""
        batch = self.batch()
        batch["inputs"] = 1e-3 * batch["inputs"]
        with torch.no_grad():
            logits: Tensor = self.fill().train()(batch, dropout_rate=0.0)
        return logits

    def frozen_checks(self) -> Iterator[Check]:
        """A training pass with update_batch_norm=False leaves the running statistics alone."""
        entries = [t for t in self.fixture.tensors if "running_" in t["name"]]
        if entries:
            workload = self.fill().train()
            before = [self.tensor(entry["name"]).clone() for entry in entries]
            with torch.no_grad():
                workload(self.batch(), dropout_rate=0.0, update_batch_norm=False)
            pairs = zip(entries, before)
            moved = [e["name"] for e, old in pairs if not torch.equal(old, self.tensor(e["name"]))]
            note = "; ".join(moved)
            yield self.compare("params/frozen_statistics", len(moved), np.asarray(0), note)

    # ---- initialisation

    def init_checks(self) -> Iterator[Check]:
        """Our own initialisation against the statistics of the reference's."""
        expected = self.fixture.initial()
        if not expected:
            return
        self.workload.reset_parameters(torch.Generator().manual_seed(0))
        worst: dict[str, tuple[float, str]] = {}
        for name, want in expected.items():
            values = self.tensor(name).detach().double()
            bounded = not any(fnmatchcase(name, pattern) for pattern in self.unbounded)
            for key, value in init_errors(values, want, bounded):
                if not value <= worst.setdefault(key, (0.0, ""))[0]:  # nan is the worst
                    worst[key] = (value, name)
        for key in INIT_TOLERANCES:
            if key in worst:
                value, name = worst[key]
                yield Check(key, value, self.tolerance(key), f"worst: {name}" if value else "")


def norm(values: Tensor) -> float:
    """L2 norm in float64."""
    return float(values.detach().double().norm())
