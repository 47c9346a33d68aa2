"""What do update rules by element have in common?  Everything but the formula.

A rule states its formula twice: `plain`, one tensor at a time, to be read; `fast`, on lists of
tensors with torch's multi-tensor functions, to be run.  A test holds them equal.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

State = dict[str, Tensor]  # of one tensor, by name
States = dict[str, list[Tensor]]  # of a list of tensors
Kind = tuple[torch.device, torch.dtype, int]  # one update each: device, dtype, step number t

_CACHED = 1 << 18  # elements of a part on a CPU: 1 MB of float32 each of p, g and the state
_LARGE = 1 << 26  # elements of a part elsewhere: 256 MB for a temporary


class MultiTensor(Optimizer):
    """Subclass it with `buffers`, `plain` and `fast`.

    Args:
        params: as torch.optim takes them.
        settings: defaults of the groups; `lr` may be changed in the groups before every step.
        foreach: True for `fast`, False for `plain`.

    Raises:
        ValueError: at a step, a sparse gradient.
    """

    buffers: Mapping[str, torch.dtype | None] = {}  # name of a state tensor -> dtype (None: p's)
    by_element = True  # whether a large tensor may be updated part by part; a list always may

    def __init__(self, params: Any, settings: dict[str, Any], foreach: bool = True) -> None:
        super().__init__(params, {**settings, "foreach": foreach})

    def plain(self, p: Tensor, g: Tensor, s: State, t: int, group: dict[str, Any]) -> None:
        """The formula for one tensor, in place.

        Args:
            p: the parameter.
            g: its gradient, of p's dtype; must not be changed.
            s: its state by name, as in `buffers`.
            t: number of this step, 1 in the first.
            group: settings.
        """
        raise NotImplementedError

    def fast(
        self, params: list[Tensor], grads: list[Tensor], s: States, t: int, group: dict[str, Any]
    ) -> None:
        """The same for lists of tensors of one device and dtype."""
        raise NotImplementedError

    def start(self, p: Tensor, name: str) -> Tensor:
        """First value of a state tensor; by default zeros."""
        dtype = self.buffers[name] or p.dtype
        return torch.zeros_like(p, dtype=dtype, memory_format=torch.preserve_format)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update every parameter that has a gradient; returns what `closure` returns."""
        loss = loss_of(closure)
        for group in self.param_groups:
            for (device, _, t), tensors in self._count_and_sort(group["params"]).items():
                self._update(*tensors, device, t, group)
        return loss

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Bring the counters of a checkpoint back to the CPU, wherever it was mapped to, and state
        tensors to their own dtypes: torch casts them to the parameter's.
        """
        super().__setstate__(state)
        for p, s in self.state.items():
            s["step"] = torch.as_tensor(s["step"], dtype=torch.float32, device="cpu")
            for name, dtype in self.buffers.items():
                s[name] = s[name].to(dtype or p.dtype)

    def _update(
        self,
        params: list[Tensor],
        grads: list[Tensor],
        s: States,
        device: torch.device,
        t: int,
        group: dict[str, Any],
    ) -> None:
        if not group["foreach"]:
            for number, (p, g) in enumerate(zip(params, grads)):
                self.plain(p, g, {name: tensors[number] for name, tensors in s.items()}, t, group)
            return
        size = _CACHED if device.type == "cpu" else _LARGE
        for part in _parts([params, grads, *s.values()], size, self.by_element):
            self.fast(part[0], part[1], dict(zip(s, part[2:])), t, group)

    def _count_and_sort(
        self, params: list[Tensor]
    ) -> dict[Kind, tuple[list[Tensor], list[Tensor], States]]:
        """Add 1 to the step counters, then sort what one multi-tensor update can take together."""
        live = [p for p in params if p.grad is not None]
        refuse_sparse(self, live)
        states = [self.state[p] or self._start(p) for p in live]
        if not states:
            return {}
        # the counters live on the CPU, so reading them never waits for a GPU; a tensor as the
        # addend, because a Python number would be wrapped into a new tensor for each of them
        torch._foreach_add_([state["step"] for state in states], torch.ones(()))
        kinds: dict[Kind, Any] = defaultdict(lambda: ([], [], {name: [] for name in self.buffers}))
        for p, state in zip(live, states):
            params_, grads, s = kinds[p.device, p.dtype, int(state["step"].item())]
            params_.append(p)
            grads.append(p.grad.to(p.dtype))  # type: ignore[union-attr]  # a no-op where they agree
            for name, tensors in s.items():
                tensors.append(state[name])
        return kinds

    def _start(self, p: Tensor) -> dict[str, Any]:
        state: dict[str, Any] = self.state[p]
        state["step"] = torch.zeros((), dtype=torch.float32, device="cpu")
        for name in self.buffers:
            state[name] = self.start(p, name)
        return state


class AdamRule(MultiTensor):
    """A rule with Adam's settings and moments, `exp_avg` (m) and `exp_avg_sq` (v).

    Args:
        params: as torch.optim takes them.
        lr: learning rate; may be changed in the groups before every step.
        betas: (b1, b2), each from 0 to below 1.
        eps: added to the root, after the bias correction.
        weight_decay: wd.
        foreach: True for the multi-tensor form; False for the plain one.

    Raises:
        ValueError: a value out of range; at a step, a sparse gradient.
    """

    buffers = {"exp_avg": None, "exp_avg_sq": None}

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        foreach: bool = True,
    ) -> None:
        check_settings(self, betas, 2, lr=lr, eps=eps, weight_decay=weight_decay)
        settings = {"lr": lr, "betas": tuple(betas), "eps": eps, "weight_decay": weight_decay}
        super().__init__(params, settings, foreach)


def loss_of(closure: Callable[[], Any] | None) -> Any:
    """What the closure of a step returns, called with gradients on; None without one."""
    if closure is None:
        return None
    with torch.enable_grad():
        return closure()


def refuse_sparse(rule: Optimizer, params: list[Tensor]) -> None:
    """Raise a ValueError if a gradient is sparse, before anything is changed."""
    if any(p.grad is not None and p.grad.is_sparse for p in params):
        raise ValueError(
            f"{type(rule).__name__}: a gradient is sparse, expected dense ones: "
            "use Embedding(sparse=False)"
        )


def scale_(tensors: list[Tensor], factor: float) -> None:
    """Multiply in place by a factor that keeps the precision of the arithmetic.

    On a CPU `_foreach_mul_` rounds a Python number to the tensors' type first: 0.998 becomes 0.996
    in bfloat16, which doubles a decay.  A tensor of the arithmetic's own type stays exact.
    """
    if tensors[0].device.type != "cpu":
        torch._foreach_mul_(tensors, factor)
        return
    arithmetic = torch.promote_types(tensors[0].dtype, torch.float32)
    torch._foreach_mul_(tensors, torch.tensor(factor, dtype=arithmetic))


def add_squares_(v: list[Tensor], grads: list[Tensor], b2: float) -> None:
    """v <- b2 v + (1 - b2) g^2, rounded to v's type after each of the two, as in place."""
    scale_(v, b2)
    wide = in_type_of(grads, v)
    torch._foreach_addcmul_(wide, grads, grads, 1 - b2)
    if wide is not v:
        torch._foreach_copy_(v, wide)


def in_type_of(like: list[Tensor], tensors: list[Tensor]) -> list[Tensor]:
    """`tensors`, as copies if their type is another: multi-tensor kernels want one type."""
    if tensors[0].dtype == like[0].dtype:
        return tensors
    copies = [torch.empty_like(tensor, dtype=other.dtype) for tensor, other in zip(tensors, like)]
    torch._foreach_copy_(copies, tensors)
    return copies


def norms(tensors: list[Tensor], order: int = 2) -> list[Tensor]:
    """The norm [] of each tensor, in the precision of the arithmetic: float32 for bfloat16."""
    wide = torch.promote_types(tensors[0].dtype, torch.float32)
    return list(torch._foreach_norm(tensors, order, dtype=wide))


def adam_scalars(t: int, group: dict[str, Any]) -> tuple[float, float]:
    """s = sqrt(1 - b2^t), by which Adam's fraction is expanded, and s / (1 - b1^t), that is left:

    (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps) = s / (1 - b1^t) m / (sqrt(v) + s eps).
    """
    root = math.sqrt(1 - group["betas"][1] ** t)
    return root, root / (1 - group["betas"][0] ** t)


def check(rule: Any, name: str, value: Any, good: bool, expected: str) -> None:
    """Raise a ValueError that names the rule's class, the setting and its value."""
    if not good:
        raise ValueError(f"{type(rule).__name__}: {name} = {value!r}, expected {expected}")


def check_settings(rule: Any, betas: tuple[float, ...], count: int, **at_least_0: float) -> None:
    """The usual ranges: `count` betas from 0 to below 1, the others finite and at least 0."""
    for name, value in at_least_0.items():
        check(rule, name, value, 0.0 <= value < math.inf, "a finite number of at least 0")
    words = {1: "one number", 2: "two numbers (b1, b2)", 3: "three numbers (b1, b2, b3)"}
    check(rule, "betas", betas, len(betas) == count, words[count])
    for number, beta in enumerate(betas):
        check(rule, f"betas[{number}]", beta, 0.0 <= beta < 1.0, "a number from 0 to below 1")


def _parts(lists: list[list[Tensor]], size: int, divide: bool) -> Iterator[list[list[Tensor]]]:
    """The same tensors in parts of about `size` elements: a part and its temporaries stay in a
    CPU's cache, and no temporary is as large as the model.

    Args:
        lists: of the parameters and of what belongs to them, in the same order.
        size: elements.
        divide: whether a larger tensor may be updated in parts of its own.
    """
    part: list[list[Tensor]] = [[] for _ in lists]
    count = 0
    for same in zip(*lists):
        elements = same[0].numel()
        if elements > size and divide and all(t.is_contiguous() for t in same):
            for pieces in zip(*(t.view(-1).split(size) for t in same)):
                yield [[piece] for piece in pieces]
            continue
        if part[0] and count + elements > size:
            yield part
            part, count = [[] for _ in lists], 0
        for kind, tensor in zip(part, same):
            kind.append(tensor)
        count += elements
    if part[0]:
        yield part
