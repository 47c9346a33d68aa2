"""What do rules with matrices per block have in common?  Pieces, their owners, and their state.

A parameter is viewed with fewer dimensions and cut into blocks; each is a problem of its own and
belongs to one rank, which alone keeps its state, under "<number of the block>.<name>".
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import chain
from math import prod
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.optim import Optimizer

from optimizers.matrix_view import blocks, merged, rows_and_columns
from optimizers.multi_tensor import loss_of, refuse_sparse
from optimizers.sharing import exchange, owners, ranks

Shape = tuple[int, ...]


class Plan(NamedTuple):
    """How one parameter is seen.

    Args:
        view: its shape with dimensions merged.
        cuts: where its blocks are.
        owned_by: the rank of each block; -1: all ranks compute it.
    """

    view: Shape
    cuts: tuple[tuple[slice, ...], ...]
    owned_by: tuple[int, ...]


class Block(NamedTuple):
    """A piece of a parameter: views of it and its gradient, its state, its rank.

    Gradient and state are in float32 at least.
    """

    weight: Tensor
    grad: Tensor
    state: dict[str, Tensor]
    owner: int


class BlockRule(Optimizer):
    """Subclass it with `plan`, `start` and `directions`."""

    def plan(self, shapes: tuple[Shape, ...], world: int, group: dict[str, Any]) -> Sequence[Plan]:
        """The plan of each parameter of a group; without empty ones."""
        raise NotImplementedError

    def start(self, block: Tensor, group: dict[str, Any]) -> dict[str, Tensor]:
        """First state of a block, by name."""
        raise NotImplementedError

    def directions(self, mine: list[Block], n: int, group: dict[str, Any]) -> list[Tensor]:
        """What the learning rate multiplies, for each block, at its n-th step (1 in the first)."""
        raise NotImplementedError

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update every parameter that has a gradient; returns what `closure` returns."""
        loss = loss_of(closure)
        for group in self.param_groups:
            params = [p for p in group["params"] if p.numel()]
            refuse_sparse(self, params)
            self._update(params, group)
        return loss

    def describe(self, p: Tensor) -> str:
        """How a parameter is seen: "2048 x 3000 in 6 blocks"."""
        if not p.numel():
            return "-"
        group = next(g for g in self.param_groups if any(p is other for other in g["params"]))
        (plan,) = self.plan((tuple(p.shape),), 1, group)
        sides = " x ".join(map(str, plan.view))
        return sides if len(plan.cuts) == 1 else f"{sides} in {len(plan.cuts)} blocks"

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """As torch's, but state keeps its own dtypes: torch casts it to the parameter's."""
        super().load_state_dict(state_dict)
        saved = chain.from_iterable(group["params"] for group in state_dict["param_groups"])
        params = chain.from_iterable(group["params"] for group in self.param_groups)
        for number, p in zip(saved, params):
            for name, value in state_dict["state"].get(number, {}).items():
                device = torch.device("cpu") if name == "step" else p.device
                self.state[p][name] = value.to(device, copy=True)

    def _update(self, params: list[Tensor], group: dict[str, Any]) -> None:
        rank, world = ranks()
        plans = self.plan(tuple(tuple(p.shape) for p in params), world, group)
        by_step: dict[int, list[Block]] = defaultdict(list)
        copies = []
        for p, plan in zip(params, plans):
            if p.grad is None:
                continue
            weight = p.detach().contiguous()  # no copy where it already is
            if not p.is_contiguous():
                copies.append((p, weight))
            found = self._blocks(p, weight, plan, rank, group)
            by_step[int(self.state[p]["step"].item())] += found
        for n, found in by_step.items():
            self._step(found, n, rank, group)
        for p, weight in copies:
            p.copy_(weight)

    def _blocks(
        self, p: Tensor, weight: Tensor, plan: Plan, rank: int, group: dict[str, Any]
    ) -> list[Block]:
        state = self.state[p]
        fresh = not state
        if fresh:
            state["step"] = torch.zeros((), dtype=torch.float32, device="cpu")
        state["step"] += 1
        weight = weight.view(plan.view)
        dtype = torch.promote_types(p.dtype, torch.float32)
        grad = p.grad.to(p.dtype).to(dtype).reshape(plan.view)  # type: ignore[union-attr]
        by_block: dict[int, dict[str, Tensor]] = defaultdict(dict)
        if not fresh:
            for name in (name for name in state if name != "step"):
                number, _, kind = name.partition(".")
                by_block[int(number)][kind] = state[name]
        made = []
        for number, (cut, owner) in enumerate(zip(plan.cuts, plan.owned_by)):
            if owner in (rank, -1):
                if fresh:
                    by_block[number] = self.start(grad[cut], group)
                    state |= {f"{number}.{k}": value for k, value in by_block[number].items()}
                elif number not in by_block:
                    raise RuntimeError(_OTHER_RANKS.format(type(self).__name__, number))
            own = by_block[number]
            made.append(Block(weight[cut], _for_products(grad[cut], own), own, owner))
        return made

    def _step(self, found: list[Block], n: int, rank: int, group: dict[str, Any]) -> None:
        mine = [block for block in found if block.owner in (rank, -1)]
        moves = dict(zip(map(id, mine), self.directions(mine, n, group) if mine else []))
        shared = [block for block in found if block.owner >= 0]
        dtype = _DTYPES[group.get("communication_dtype", "FP32")]
        if group.get("communicate_params", True):
            for block in mine:
                block.weight.add_(moves[id(block)], alpha=-group["lr"])
            self._exchange([block.weight for block in shared], shared, dtype)
            return
        for block in shared:
            moves.setdefault(id(block), torch.empty_like(block.grad))
        self._exchange([moves[id(block)] for block in shared], shared, dtype)
        for block in found:
            block.weight.add_(moves[id(block)], alpha=-group["lr"])

    def _exchange(self, tensors: list[Tensor], shared: list[Block], dtype: torch.dtype) -> None:
        wider = dtype == torch.float32
        exchange(tensors, [block.owner for block in shared], None if wider else dtype)


def _for_products(grad: Tensor, state: dict[str, Tensor]) -> Tensor:
    """In memory of its own, if the block has matrices: the last bits of a product depend on where
    its factors lie, and DDP puts gradients elsewhere after a resume.
    """
    if not any(name.startswith("factor") for name in state):
        return grad
    return grad.clone(memory_format=torch.contiguous_format)


_DTYPES = {"FP32": torch.float32, "BF16": torch.bfloat16, "FP16": torch.float16}
COMMUNICATION = tuple(_DTYPES)
_OTHER_RANKS = (
    "{0}: the state has no block {1} of a parameter, which this rank owns.  Each rank keeps its own"
    " blocks: go on with as many ranks as before, through a submission with _target_ "
    "optimizers.sharing.SharedStateSubmission, which saves the state of each"
)


@lru_cache(maxsize=64)
def make_plans(
    shapes: tuple[Shape, ...], merge: int | None, limit: int, factored: int, world: int
) -> tuple[Plan, ...]:
    """Plans with the blocks dealt to ranks by what they cost.

    Args:
        shapes: of the parameters.
        merge: dimensions are merged up to this product; None: to [first, rest].
        limit: longest side of a block; 0: they are not cut.
        factored: longest side that has a matrix of its own; 0: no side has one, and every rank
            computes all blocks.
    """
    views = [rows_and_columns(s) if merge is None else merged(s, merge) for s in shapes]
    cuts = [tuple(blocks(view, limit or max(view))) for view in views]
    if not factored:
        return tuple(Plan(v, c, (-1,) * len(c)) for v, c in zip(views, cuts))
    sizes = [_sides(view, cut) for view, own in zip(views, cuts) for cut in own]
    dealt = iter(owners([_cost(sides, factored) for sides in sizes], world))
    return tuple(Plan(v, c, tuple(next(dealt) for _ in c)) for v, c in zip(views, cuts))


def _sides(view: Shape, cut: tuple[slice, ...]) -> Shape:
    return tuple(min(s.stop, size) - s.start for size, s in zip(view, cut))


def _cost(sides: Shape, factored: int) -> float:
    """In multiplications of a step, if decompositions are rare."""
    own = [side for side in sides if side <= factored]
    return prod(sides) * (10.0 + sum(own)) + sum(side**3 for side in own)


def gram(block: Tensor, axis: int) -> tuple[Tensor, Tensor]:
    """The two factors of the sum over all other axes of the outer products along `axis`."""
    matrix = block.movedim(axis, 0).flatten(1) if block.dim() > 1 else block[:, None]
    return matrix, matrix.T


def along_axes(tensor: Tensor, matrices: Sequence[Tensor | None]) -> Tensor:
    """Contract each axis with the first index of its matrix, which leaves its second; None: leave
    the axis alone.
    """
    for matrix in matrices:  # an axis goes to the end when it is done, so the next is the first
        if matrix is None:
            tensor = tensor.movedim(0, -1)
        else:
            tensor = torch.tensordot(tensor, matrix, dims=([0], [0]))
    return tensor
