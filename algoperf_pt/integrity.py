"""Is what is judged still what it was?  Checks at the edges of the clock and of every evaluation.

The ways to cheat that these stop: replaced, resized, frozen or non-float parameters; ranks that
drifted apart; threads, processes and hooks on all modules that compute while the clock stands.
Work on native threads or foreign streams is outside their reach.
"""

import os
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import torch
from torch import nn
from torch.nn.modules import module as modules

from algoperf_pt.errors import IntegrityError
from algoperf_pt.ranks import Ranks

_IDLE = 0.1  # CPU seconds that a submission's thread or process may use while the clock stands
_TICK = os.sysconf("SC_CLK_TCK")
_COMPILER = os.path.join("torch", "_inductor", "compile_worker")

# torch's hooks on every module of the process: the judged copy would call them too
_HOOKS = ("_global_forward_pre_hooks", "_global_forward_hooks")

Task = tuple[str, int]  # ("thread" or "process", number)


class Guard:
    """Watches one model and the processes around it.

    Args:
        model: the training model, as it must stay.
        ranks: the ranks that must hold equal parameters.
    """

    def __init__(self, model: nn.Module, ranks: Ranks) -> None:
        self._model, self._ranks = model, ranks
        self._tensors = {name: _facts(p) for name, p in model.named_parameters()}
        self._classes = {name: type(module) for name, module in model.named_modules()}
        self._known = (
            _tasks()
        )  # threads and processes of the harness; the others are the submission's

    # ---- parameters

    def check_parameters(self) -> None:
        """Names, identities, shapes, dtypes, requires_grad, module classes; equal bits on all
        ranks.

        Raises:
            IntegrityError: naming the first tensor that differs.
        """
        found = {name: _facts(p) for name, p in self._model.named_parameters()}
        for name in self._tensors.keys() | found.keys():
            if self._tensors.get(name) != found.get(name):
                raise IntegrityError(
                    f"parameter {name!r} is {_words(found.get(name))} at the evaluation",
                    expected=f"{_words(self._tensors.get(name))}, the same tensor as at the start",
                    fix="update parameters in place; do not replace, add, resize or freeze them",
                )
        classes = {name: type(module) for name, module in self._model.named_modules()}
        if classes != self._classes:
            changed = sorted(
                n
                for n in classes.keys() | self._classes.keys()
                if classes.get(n) != self._classes.get(n)
            )
            raise IntegrityError(
                f"the model's module {changed[0]!r} was replaced",
                expected="the workload's own modules",
            )
        self._check_equal_ranks()

    def _check_equal_ranks(self) -> None:
        if self._ranks.world == 1:
            return
        sums = self._ranks.gather(checksum(self._model.parameters()))
        if len(set(sums)) > 1:
            raise IntegrityError(
                f"the ranks hold different parameters (checksums {sums})",
                expected="equal bits on all ranks at every evaluation",
                fix="use workload.backward(loss): it averages gradients over ranks",
            )

    # ---- edges of the clock

    @contextmanager
    def harness_at_work(self) -> Iterator[None]:
        """Threads and processes born inside are the harness's (loader workers, loggers)."""
        before = _tasks()
        yield
        self._known |= _tasks() - before

    @contextmanager
    def clock_stands(self) -> Iterator[None]:
        """Nothing of the submission may compute inside.

        Raises:
            IntegrityError: a thread or process of the submission used CPU time meanwhile, or a hook
                of it would run in every pass.
        """
        if any(getattr(modules, name) for name in _HOOKS):
            raise IntegrityError(
                "there are hooks on all modules of the process: they would run in the evaluation",
                expected="none of torch's global module hooks",
                fix="register hooks on modules of workload.model, or remove them",
            )
        suspects = _tasks() - self._known
        before = {task: _cpu_seconds(task) for task in suspects}
        yield
        for task in suspects:
            worked = _cpu_seconds(task) - before[task]
            if worked > _IDLE:
                raise IntegrityError(
                    f"{task[0]} {task[1]} of the submission computed for {worked:.2f} s while "
                    "the clock stood",
                    expected=f"at most {_IDLE} s of CPU time during an untimed evaluation",
                    fix="stop threads and processes in prepare_for_eval",
                )


def checksum(parameters: Iterable[torch.Tensor]) -> int:
    """A sum over the bits of all parameters: exact, whatever the order of additions."""
    total = 0
    for p in parameters:
        flat = p.detach().contiguous().reshape(-1)
        words = flat.view(torch.int32 if flat.element_size() == 4 else torch.uint8)
        total += int(words.sum(dtype=torch.int64))
    return total


def all_finite(tensors: Iterable[torch.Tensor]) -> bool:
    """Whether no element of any tensor is NaN or infinite (one wait for the device, no memory)."""
    ends = [torch.stack(torch.aminmax(t)) for t in tensors if t.numel()]  # NaN is both
    flags = [torch.isfinite(end).all() for end in ends]
    return bool(torch.stack(flags).all()) if flags else True


def _facts(p: nn.Parameter) -> tuple[int, tuple[int, ...], torch.dtype, bool]:
    return id(p), tuple(p.shape), p.dtype, p.requires_grad


def _words(facts: tuple[int, tuple[int, ...], torch.dtype, bool] | None) -> str:
    if facts is None:
        return "missing"
    return f"{list(facts[1])} {facts[2]}{'' if facts[3] else ' frozen'}"


def _tasks() -> set[Task]:
    """Python threads of this process, and its child processes but torch's compilers."""
    threads = {("thread", t.native_id) for t in threading.enumerate() if t.native_id is not None}
    children = psutil.Process().children(recursive=True)
    return threads | {("process", child.pid) for child in children if not _compiles(child)}


def _compiles(process: psutil.Process) -> bool:
    """Whether it is a worker of torch.compile: born in a step, it also compiles the judged copy."""
    try:
        return any(_COMPILER in word for word in process.cmdline())
    except psutil.Error:
        return False


def _cpu_seconds(task: Task) -> float:
    """CPU time used so far; 0 for a task that has ended."""
    kind, number = task
    path = f"/proc/self/task/{number}/stat" if kind == "thread" else f"/proc/{number}/stat"
    try:
        fields = Path(path).read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return (int(fields[11]) + int(fields[12])) / _TICK
