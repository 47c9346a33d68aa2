"""How is a window brought to its size?  Bilinear with antialiasing, by two means.

`pillow_resize` is Pillow's own, to the bit.  `window_resize` takes torch's kernel for uint8, which
sums the same weights with 15 bits after the point in place of 22: a few pixels in a hundred differ
by one grey level, at less than half the time.
"""

from typing import Any

import torch
from torch import Tensor

from algoperf_pt.optional import need
from workloads.imagenet.decode import Picture, Pixels


def window_resize(picture: Picture, window: Any, flip: bool, out: Tensor) -> None:
    """Write a window of a picture, scaled and maybe mirrored, to `out`.

    Args:
        picture: decoded here, down to the window's last row.
        window: top, left, height, width.
        flip: left to right.
        out: uint8 [S, S, 3].
    """
    top, left, height, width = window
    pixels = torch.from_numpy(picture.rows(top + height))
    part = pixels[top : top + height, left : left + width].permute(2, 0, 1)
    size = list(out.shape[:2])
    resize = need("torchvision.transforms.v2.functional", "imagenet").resize
    scaled = resize(part, size, antialias=True)
    out.copy_((scaled.flip(-1) if flip else scaled).permute(1, 2, 0))


def pillow_resize(pixels: Pixels, size: tuple[int, int]) -> Pixels:
    """uint8 [h, w, 3] of `size` (width, height)."""
    import numpy as np

    image = need("PIL.Image", "imagenet")
    return np.asarray(image.fromarray(pixels).resize(size, image.Resampling.BILINEAR))
