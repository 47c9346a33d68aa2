"""From k-space to an image: the half that is done once, when data are prepared, and the half that
is done for each batch.

The mask leaves out whole columns, so the Fourier transform over the rows and the crop of the rows
commute with it: the preparation does them and stores columns [W, h].  What is left is a sum over
the kept columns, image[r, a] = sum_b data[b, r] * exp(2 pi i a b / W) / sqrt(W), with a and b
counted from the middle.  For a and -a it is the same sum of cosines plus or minus that of sines, so
one real matrix product over half of the image gives all of it.

Shapes: B slices, H and W rows and columns of k-space, h and w of the image, K kept columns,
A = w / 2 + 1 distances from the middle.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor

Array = np.ndarray[Any, Any]


def row_transform(kspace: Array, height: int) -> Array:
    """complex64 [B, H, W] -> [B, W, h]: centred orthonormal inverse Fourier transform over the
    rows, the middle h of them, columns first.
    """
    shifted = np.fft.ifftshift(kspace.astype(np.complex64, copy=False), axes=1)
    whole = np.fft.fftshift(np.fft.ifft(shifted, axis=1, norm="ortho"), axes=1)
    first = (kspace.shape[1] - height) // 2
    columns = whole[:, first : first + height].transpose(0, 2, 1)
    return np.ascontiguousarray(columns, np.complex64)


def column_basis(width: int, image_width: int) -> Array:
    """float32 [W, 2A]: cosines and sines by which a column takes part in an image; computed in
    float64 from whole numbers.

    Args:
        width: W.
        image_width: w, even.
    """
    b, a = np.arange(width) - width // 2, np.arange(image_width // 2 + 1)
    angle = 2 * np.pi * (np.outer(b, a) % width / width)
    both = np.concatenate([np.cos(angle), np.sin(angle)], axis=1)
    return (both / np.sqrt(width)).astype(np.float32)


def magnitude(columns: Tensor, basis: Tensor) -> Tensor:
    """[B, h, w] absolute values of the images.

    Args:
        columns: float32 [B, K, 2h] kept columns, real and imaginary parts in turn.
        basis: float32 [B, K, 2A] rows of `column_basis`; zeros for a column that is not to count.
    """
    with _full_precision(columns.is_cuda):
        sums = torch.bmm(columns.transpose(1, 2), basis)  # [B, 2h, 2A]
    parts = sums.unflatten(2, (2, -1)).unflatten(1, (-1, 2))  # [B, h, re/im, cos/sin, A]
    (cr, sr), (ci, si) = (part.unbind(2) for part in parts.unbind(2))  # [B, h, A] each
    right = (cr - si).square_().add_((ci + sr).square_())
    left = (cr + si).square_().add_((ci - sr).square_())
    return torch.cat([left[..., 1:].flip(-1), right[..., :-1]], dim=-1).sqrt_()


def normalised(images: Tensor, targets: Tensor, limit: float) -> dict[str, Tensor]:
    """`inputs` and `targets` [B, h, w], both by the mean and standard deviation of the input, cut
    to [-limit, limit]; `mean` and `std` [B].

    Args:
        images: [B, h, w] of the kept columns; taken apart.
        targets: [B, h, w] of all columns.
    """
    mean = images.mean(dim=(1, 2), keepdim=True)
    inputs = images.sub_(mean)
    std = inputs.square().mean(dim=(1, 2), keepdim=True).sqrt_()
    return {
        "inputs": inputs.div_(std).clamp_(-limit, limit),
        "targets": (targets - mean).div_(std).clamp_(-limit, limit),
        "mean": mean.flatten(),
        "std": std.flatten(),
    }


@contextmanager
def _full_precision(cuda: bool) -> Iterator[None]:
    """Whatever the trial allows its model: data do not depend on TF32."""
    allowed = cuda and torch.backends.cuda.matmul.allow_tf32
    if allowed:
        torch.backends.cuda.matmul.allow_tf32 = False
    try:
        yield
    finally:
        if allowed:
            torch.backends.cuda.matmul.allow_tf32 = True


def image_of(kspace: Array, kept: Array, height: int, width: int) -> Tensor:
    """float32 [h, w]: one slice on the whole road, for tests and comparisons.

    Args:
        kspace: complex64 [H, W].
        kept: bool [W] or numbers of columns.
    """
    columns = row_transform(kspace[None], height)[:, kept]
    basis = column_basis(kspace.shape[1], width)[kept]
    real = torch.from_numpy(columns.view(np.float32))
    return magnitude(real, torch.from_numpy(basis)[None])[0]


def stacked_bases(widths: Iterable[int], image_width: int) -> tuple[Tensor, dict[int, int]]:
    """(table [rows, 2A], W -> its first row) of all widths; the last row is zeros."""
    starts: dict[int, int] = {}
    tables: list[Array] = []
    for width in widths:
        starts[width] = sum(map(len, tables))
        tables.append(column_basis(width, image_width))
    tables.append(np.zeros((1, image_width // 2 * 2 + 2), np.float32))
    return torch.from_numpy(np.concatenate(tables)), starts
