"""What does a submission hold as its parameters?  The network itself, or on several ranks a module
around it, as DistributedDataParallel would be.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn

from algoperf_pt.errors import SubmissionError


class Replica(nn.Module):
    """One rank's network, named as under DistributedDataParallel: `module`, `module.` before its
    parameters' names, `no_sync()`.  Passes go through the workload's `model_fn`.

    Attributes:
        require_backward_grad_sync: False while a submission wants the gradients of the passes
            that begin to stay its rank's own.
    """

    def __init__(
        self,
        module: nn.Module,
        no_sync: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        super().__init__()
        self.module = module
        self.no_sync = no_sync
        self.require_backward_grad_sync = True

    def local(self) -> AbstractContextManager[None]:
        """In it forward passes begin as `require_backward_grad_sync` says."""
        return nullcontext() if self.require_backward_grad_sync else self.no_sync()

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Refused: its gradients would not be averaged over ranks."""
        raise SubmissionError(
            "the submission calls its parameter container as a model",
            expected="workload.model_fn(params=..., ...): only that averages gradients over ranks",
        )

    def register_comm_hook(self, state: object, hook: Callable[..., Any]) -> None:
        """Refused: how gradients travel is the harness's."""
        raise SubmissionError(
            "the submission registers a hook on the communication of gradients",
            expected="gradients as they are averaged, or no_sync() and communication of its own",
        )

    def __deepcopy__(self, memo: dict[int, Any]) -> "Replica":
        """A copy of the network that belongs to no ranks."""
        return Replica(deepcopy(self.module, memo))


def network_of(container: Any) -> nn.Module:
    """The network in what a submission passes or returns as parameters.

    Raises:
        SubmissionError: it is no module.
    """
    inside = getattr(container, "module", container)
    if isinstance(inside, nn.Module):
        return inside
    raise SubmissionError(
        f"the submission passes a {type(container).__name__} as parameters",
        expected="the module that it was given, or a copy of it",
    )


@contextmanager
def weights_of(network: nn.Module, params: Any) -> Iterator[None]:
    """In it `network` has the tensors of `params`, which may be a copy of it; without gradients."""
    other = network_of(params)
    if other is network:
        yield
        return
    if torch.is_grad_enabled():
        raise SubmissionError(
            "model_fn is called with another module than current_param_container",
            expected="the container, or a copy under torch.no_grad()",
            fix="copy the weights into the container's parameters before the pass",
        )
    pairs = _pairs(network, other)
    _swap(pairs)
    try:
        yield
    finally:
        _swap(pairs)


@torch.no_grad()
def adopt(network: nn.Module, params: Any) -> None:
    """Copy what a submission returned as its parameters into the network, in place."""
    other = network_of(params)
    if other is not network:
        for own, tensor in _pairs(network, other):
            own.copy_(tensor)


def _pairs(network: nn.Module, other: nn.Module) -> list[tuple[Tensor, Tensor]]:
    mine, theirs = _tensors(network), _tensors(other)
    for name in mine.keys() | theirs.keys():
        a, b = mine.get(name), theirs.get(name)
        if a is None or b is None or a.shape != b.shape:
            raise SubmissionError(
                f"the submission's module has {name!r} {_shape(b)}",
                expected=f"{_shape(a)}: the workload's network or a copy of it",
            )
    return [(tensor, theirs[name]) for name, tensor in mine.items()]


def _tensors(module: nn.Module) -> dict[str, Tensor]:
    return {**dict(module.named_parameters()), **dict(module.named_buffers())}


def _shape(tensor: Tensor | None) -> str:
    return "missing" if tensor is None else str(list(tensor.shape))


def _swap(pairs: list[tuple[Tensor, Tensor]]) -> None:
    for a, b in pairs:
        a.data, b.data = b.data, a.data
