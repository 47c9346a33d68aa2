"""Which average of past weights is judged in place of the last ones?  Parts for `average` in
conf/submission; training itself goes on from the last weights.

A part takes a snapshot in the steps k >= start with (k - start) mod interval = 0, after the update
(k is 0-based), start = ceil(start_factor * hint), interval = ceil(interval_factor * hint).

    LawaQueue      mean of the last `size` snapshots, none before there are so many
    Ema            e <- beta e + (1 - beta) theta, at first theta
    Polyak         mean of all snapshots

Snapshots stay on the parameters' device: one multi-tensor copy or lerp each, microseconds on the
clock, where the published LAWA copies all weights to the CPU and back through the bus.  Where that
memory is short, `cpu: true` does so here too.  Running statistics of batch norm are not averaged,
in the published files neither.

Source: Kaddour, arXiv 2209.14981 (LAWA); as entered in AlgoPerf v0.5; Polyak & Juditsky (1992).
"""

import math
from typing import Any

import torch
from torch import Tensor


class Average:
    """When snapshots are taken.  Subclass it with `add` and `averaged`.

    Args:
        step_hint: of the workload, steps.
        start_factor: first snapshot, as a share of the step hint (rounded up to steps).
        interval_factor: between two snapshots, likewise; None: one in every step.
        cpu: keep the average in main memory instead of on the parameters' device.

    Raises:
        ValueError: a value out of range.
    """

    def __init__(
        self,
        step_hint: int,
        start_factor: float = 0.0,
        interval_factor: float | None = None,
        cpu: bool = False,
    ) -> None:
        _check("start_factor", start_factor, 0 <= start_factor, "at least 0")
        good = interval_factor is None or interval_factor > 0
        _check("interval_factor", interval_factor, good, "above 0, or null for every step")
        self.start = math.ceil(step_hint * start_factor)
        self.interval = math.ceil(step_hint * (interval_factor or 0.0)) or 1
        self._cpu = cpu

    @torch.no_grad()
    def update(self, parameters: list[Tensor], step: int) -> None:
        """To be called after the update of a (0-based) step."""
        if step >= self.start and (step - self.start) % self.interval == 0:
            self.add([p.detach() for p in parameters])

    def add(self, parameters: list[Tensor]) -> None:
        """Take a snapshot; the tensors themselves must not be kept."""
        raise NotImplementedError

    def averaged(self) -> list[Tensor] | None:
        """The weights to be judged, on the device of the average; None: there are none yet."""
        raise NotImplementedError

    def state_dict(self) -> dict[str, Any]:
        """Tensors and plain values."""
        raise NotImplementedError

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over `state_dict()` of an earlier attempt."""
        raise NotImplementedError

    def _copies(self, tensors: list[Tensor]) -> list[Tensor]:
        if self._cpu:
            return [tensor.to("cpu", copy=True) for tensor in tensors]
        return [tensor.clone() for tensor in tensors]


class LawaQueue(Average):
    """Mean of the last `size` snapshots.  State: 4 * size bytes a float32 parameter, and 4 more
    while the mean is made.

    Args:
        size: snapshots in the queue; with fewer nothing is averaged.
        when: the arguments of `Average`.
    """

    def __init__(self, step_hint: int, size: int, **when: Any) -> None:
        _check("size", size, size >= 1 and size == int(size), "a whole number of at least 1")
        super().__init__(step_hint, **when)
        self.size, self._queue = int(size), list[list[Tensor]]()

    def add(self, parameters: list[Tensor]) -> None:
        if len(self._queue) < self.size:
            self._queue.append(self._copies(parameters))
            return
        oldest = self._queue.pop(0)
        torch._foreach_copy_(oldest, parameters)
        self._queue.append(oldest)

    def averaged(self) -> list[Tensor] | None:
        if len(self._queue) < self.size:
            return None
        mean = [tensor.clone() for tensor in self._queue[0]]
        for snapshot in self._queue[1:]:
            torch._foreach_add_(mean, snapshot)
        torch._foreach_div_(mean, float(self.size))
        return mean

    def state_dict(self) -> dict[str, Any]:
        return {"queue": [list(snapshot) for snapshot in self._queue]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._queue = [self._copies(snapshot) for snapshot in state_dict["queue"]]


class Ema(Average):
    """Exponential moving average.  State: 4 bytes a float32 parameter.

    Args:
        beta: share of the old average, from 0 to 1.
        truncate: round beta down to a whole number.  The published LAWA-EMA does: its 0.2 is 0, and
            its average is the last snapshot.
        when: the arguments of `Average`.
    """

    def __init__(self, step_hint: int, beta: float, truncate: bool = False, **when: Any) -> None:
        _check("beta", beta, 0 <= beta <= 1, "a share from 0 to 1")
        super().__init__(step_hint, **when)
        self.beta = float(int(beta)) if truncate else beta
        self._mean: list[Tensor] | None = None

    def add(self, parameters: list[Tensor]) -> None:
        if self._mean is None:
            self._mean = self._copies(parameters)
            return
        new = self._copies(parameters) if self._cpu else parameters
        torch._foreach_lerp_(self._mean, new, 1 - self.beta)

    def averaged(self) -> list[Tensor] | None:
        return self._mean

    def state_dict(self) -> dict[str, Any]:
        return {"mean": self._mean}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        mean = state_dict["mean"]
        self._mean = None if mean is None else self._copies(mean)


class Polyak(Ema):
    """Mean of all snapshots.  State: 4 bytes a float32 parameter.

    Args:
        when: the arguments of `Average`.
    """

    def __init__(self, step_hint: int, **when: Any) -> None:
        super().__init__(step_hint, beta=0.0, **when)
        self._count = 0

    def add(self, parameters: list[Tensor]) -> None:
        self._count += 1
        self.beta = 1 - 1 / self._count
        super().add(parameters)

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "count": self._count}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        super().load_state_dict(state_dict)
        self._count = state_dict["count"]


def _check(name: str, value: object, good: bool, expected: str) -> None:
    if not good:
        raise ValueError(f"average: {name} = {value!r}, expected {expected}")
