"""AlgoPerf's `data_utils`, as far as training algorithms use it: endless iteration and mixup."""

from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import one_hot


def cycle(
    iterable: Iterable[Any],
    keys: tuple[str, ...] = ("inputs", "targets"),
    custom_sampler: bool = False,
    use_mixup: bool = False,
    mixup_alpha: float = 0.2,
) -> Iterator[dict[str, Any]]:
    """The tuples of `iterable`, again and again, as dicts with these keys.

    Args:
        custom_sampler: tell `iterable.sampler` the number of each repetition (`set_epoch`).
        use_mixup, mixup_alpha: mix each batch by `mixup_pytorch`.
    """
    epoch = 0
    while True:
        for batch in iterable:
            mixed = mixup_pytorch(batch, mixup_alpha) if use_mixup else batch
            yield dict(zip(keys, mixed, strict=True))
        epoch += 1
        if custom_sampler and hasattr(iterable, "sampler"):
            iterable.sampler.set_epoch(epoch)


def mixup_pytorch(
    batch: tuple[Tensor, Tensor], alpha: float = 0.2, num_classes: int = 1000
) -> tuple[Tensor, Tensor]:
    """A batch mixed with itself moved by one row: one weight of Beta(alpha, alpha) for all.

    Args:
        batch: inputs [B, ...], targets [B] int64.
        alpha: of the distribution.
        num_classes: of the one-hot targets [B, num_classes] that come back.
    """
    inputs, targets = batch
    hot = one_hot(targets, num_classes).to(inputs.dtype)
    weight = torch.distributions.Beta(alpha, alpha).sample()
    first, second = (weight * x + (1.0 - weight) * torch.roll(x, 1, 0) for x in (inputs, hot))
    return first, second
