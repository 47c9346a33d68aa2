"""uint8 pixels to what a network takes: arithmetic for the device, so that bytes travel to it."""

from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor


def normalise(images: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """(images / 255 - mean) / std by channel, float32; strides stay as they are.

    Args:
        images: uint8 [B, C, H, W].
        mean, std: [C] on the scale [0, 1].
    """
    centre, scale = _constants(tuple(mean), tuple(std), images.device)
    return images.float().div_(255).sub_(centre).div_(scale)


@lru_cache(maxsize=16)
def _constants(
    mean: tuple[float, ...], std: tuple[float, ...], device: torch.device
) -> tuple[Tensor, Tensor]:
    """[C, 1, 1] each, sent to the device once."""
    centre, scale = (torch.tensor(value).reshape(-1, 1, 1) for value in (mean, std))
    return centre.to(device), scale.to(device)
