"""How is a window brought to its size, and pixels to what a network takes?

Windows: bilinear with antialiasing, by two means.

`pillow_resize` is Pillow's own, to the bit.  `resize_window` takes torch's kernel for uint8, which
sums the same weights with 15 bits after the point in place of 22: up to four values in a hundred
differ, by one grey level (one in 30 million by two), as often up as down, at a quarter of the time.
"""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from algoperf_pt.optional import need
from workloads.imagenet.decode import Pixels
from workloads.imagenet.mixup import blend
from workloads.imagenet.windows import Window


def resize_window(pixels: Pixels, window: Window, flip: bool, out: Tensor) -> None:
    """Write a window, scaled and maybe mirrored, to `out`.

    Args:
        pixels: uint8 [h, w, 3].
        window: top, left, height, width.
        flip: left to right.
        out: uint8 [S, S, 3].
    """
    top, left, height, width = window
    whole = torch.from_numpy(pixels)[None]
    part = whole[:, top : top + height, left : left + width].permute(0, 3, 1, 2)
    size = tuple(out.shape[:2])
    scaled = interpolate(part, size, mode="bilinear", antialias=True)  # channels-last, as `part`
    out.copy_((scaled.flip(-1) if flip else scaled)[0].permute(1, 2, 0))


def pillow_resize(pixels: Pixels, size: tuple[int, int]) -> Pixels:
    """uint8 [h, w, 3] of `size` (width, height)."""
    image = need("PIL.Image", "imagenet")
    return np.asarray(image.fromarray(pixels).resize(size, image.Resampling.BILINEAR))


def normalise(
    images: Tensor,
    mean: Sequence[float],
    std: Sequence[float],
    mixed: tuple[Tensor, Tensor] | None = None,
) -> Tensor:
    """float32 [B, S, S, 3]: (images - 255 mean) / (255 std) by channel.

    Pictures are mixed before they are normalised, while they are small: the result is the same,
    since the shares add up to 1.

    Args:
        images: uint8, or float32 on the scale 0..255, [B, S, S, 3], contiguous.
        mean, std: of the three channels on the scale [0, 1].
        mixed: share of each picture [], and whose picture the rest comes from [B].
    """
    length = images.shape[2] * images.shape[3]
    centre, scale = _constants(tuple(mean), tuple(std), length, images.device)
    rows = images.reshape(len(images), -1, length)
    others = rows if mixed is None else rows.index_select(0, mixed[1])
    found = torch.empty(rows.shape, device=images.device)
    # A CPU does one picture after another, so that each further pass finds it in the cache.
    each = images.device.type == "cpu"
    for out, part, other in zip(found, rows, others) if each else [(found, rows, others)]:
        if mixed is None:
            out.copy_(part)
        else:
            out.copy_(blend(part.float(), other.float(), mixed[0]))
        out.sub_(centre).div_(scale)
    return found.view(images.shape)


@lru_cache(maxsize=16)
def _constants(
    mean: tuple[float, ...], std: tuple[float, ...], length: int, device: torch.device
) -> tuple[Tensor, Tensor]:
    """[S * 3] each, for a row of pixels: loops over three channels would be short ones."""
    repeated = ((255 * torch.tensor(value)).repeat(length // len(value)) for value in (mean, std))
    centre, scale = (value.to(device) for value in repeated)
    return centre, scale
