"""How alike are two images?  Structural similarity of whole batches, in float32 on the device.

Shapes: B slices, h, w height and width.  Source: Wang et al. 2004, "Image quality assessment"
(https://doi.org/10.1109/TIP.2003.819861), with a uniform window, as AlgoPerf's fastmri has it.
"""

import torch
from torch import Tensor

_WINDOW = 7  # pixels
_K1, _K2 = 0.01, 0.03  # of the constants that keep the quotients finite, as shares of the range


def ssim(x: Tensor, y: Tensor, data_range: Tensor) -> Tensor:
    """Mean over all places where the window lies inside the image; [B] float32, cut to [-1, 1].

    Args:
        x, y: [B, h, w] float32.
        data_range: [B] largest possible difference of two pixels; 0 counts as 1.
    """
    scale = torch.where(data_range == 0, torch.ones_like(data_range), data_range)
    c1, c2 = (((k * scale) ** 2)[:, None, None] for k in (_K1, _K2))
    ux, uy, uxx, uyy, uxy = window_means(torch.stack([x, y, x * x, y * y, x * y]))
    unbiased = _WINDOW**2 / (_WINDOW**2 - 1)
    vx, vy = unbiased * (uxx - ux * ux), unbiased * (uyy - uy * uy)
    vxy = unbiased * (uxy - ux * uy)
    above = (2 * ux * uy + c1) * (2 * vxy + c2)
    below = (ux * ux + uy * uy + c1) * (vx + vy + c2)
    return (above / below).mean(dim=(1, 2)).clamp(-1, 1)


def window_means(maps: Tensor) -> Tensor:
    """[..., h, w] -> [..., h - 6, w - 6]: means over 7x7 pixels, along one axis after the other.
    Plain sums, never a convolution: the differences in `ssim` do not survive TF32.
    """
    for axis in (-2, -1):
        count = maps.shape[axis] - _WINDOW + 1
        total = maps.narrow(axis, 0, count) + maps.narrow(axis, 1, count)
        for shift in range(2, _WINDOW):
            total += maps.narrow(axis, shift, count)
        maps = total
    return maps / _WINDOW**2


def slice_ssim(
    outputs: Tensor, targets: Tensor, mean: Tensor, std: Tensor, volume_max: Tensor
) -> Tensor:
    """[B] similarity of normalised images once the normalisation is undone.

    Args:
        outputs, targets: [B, h, w] float32.
        mean, std: [B] of the input of the network.
        volume_max: [B] largest value in the volume of each slice: the range.
    """
    pixels = (image * std[:, None, None] + mean[:, None, None] for image in (outputs, targets))
    return ssim(*pixels, volume_max)
