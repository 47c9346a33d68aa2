"""Which two pictures are mixed, and how much of each?

One weight w ~ Beta(alpha, alpha) for the global batch of a step; a row is mixed with the one eight
places before it there.  On the benchmark's eight devices, of which device r has every eighth row,
that is the reference's roll by one in each device's batch; on 1, 2 or 4 it gives the same pairs.
Source: Zhang et al. 2018, "mixup: Beyond Empirical Risk Minimization"
(https://arxiv.org/abs/1710.09412).
"""

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import one_hot

_DISTANCE = 8  # rows of the global batch, the devices of the benchmark's machine


def partners(count: int, world: int) -> Tensor:
    """int64 [count]: the row of this rank's batch with which each row is mixed, never itself if
    there are two.
    """
    shift = max(1, _DISTANCE // world)
    if count > 1 and shift % count == 0:
        shift = 1
    return torch.arange(count).roll(shift)


def draw_weight(generator: np.random.Generator, alpha: float) -> Tensor:
    """float32 []: the share of a row itself."""
    return torch.tensor(generator.beta(alpha, alpha), dtype=torch.float32)


def mix(values: Tensor, weight: Tensor, partner: Tensor) -> Tensor:
    """weight * values + (1 - weight) * values[partner], along the first axis.

    Args:
        values: float32 [B, ...].
        weight: float32 [].
        partner: int64 [B].
    """
    return blend(values, values.index_select(0, partner), weight)


def blend(values: Tensor, others: Tensor, weight: Tensor) -> Tensor:
    """weight * values + (1 - weight) * others; float32 of one shape."""
    return torch.lerp(others, values, weight)


def dense(labels: Tensor, classes: int) -> Tensor:
    """float32 [B, classes]: one in the column of the class."""
    return one_hot(labels, classes).float()
