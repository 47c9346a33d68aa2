"""CIFAR-10 from shards: uint8 rows, cropped and flipped; normalised on the device.

Shapes: B batch, S side of an image (32), P zero padding (4).
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from algoperf_pt.data.augment import Augment
from algoperf_pt.workload_data import Batch, Indices
from workloads.image_classification.data import ImageTables
from workloads.image_classification.pixels import normalise


class CifarData(ImageTables):
    """Colour images with integer labels; training images are randomly cropped and flipped.

    Batches: `inputs` [B, 3, S, S] float32, `targets` [B] int64, `weights` [B] float32.

    Args:
        side: pixels.
        padding: zero pixels on each side before the random crop.
        mean, std: of the channels red, green, blue, on the scale [0, 1].
    """

    def __init__(
        self,
        side: int = 32,
        padding: int = 4,
        mean: tuple[float, ...] = (0.49139968, 0.48215827, 0.44653124),
        std: tuple[float, ...] = (0.24703233, 0.24348505, 0.26158768),
        **common: Any,
    ) -> None:
        super().__init__((3, side, side), **common)
        self.padding, self.mean, self.std = padding, mean, std

    def build(self, split: str, indices: Indices, augment: Augment | None) -> dict[str, Tensor]:
        """Pick rows; crop and flip them in training.  The pixels stay uint8."""
        pixels, labels = self.table(split)
        rows = torch.from_numpy(indices)
        images = pixels[rows]
        if augment is not None:
            images = crop_and_flip(images, self.padding, *draw(len(rows), self.padding, augment))
        return {"inputs": images, "targets": labels[rows]}

    def finish(self, batch: Batch) -> Batch:
        """Normalise on the device: a quarter of the bytes travels."""
        return {**batch, "inputs": normalise(batch["inputs"], self.mean, self.std)}


def draw(count: int, padding: int, augment: Augment) -> tuple[Tensor, Tensor, Tensor]:
    """(top, left, flip) [count] of a batch: offsets 0..2 * padding, flips with probability 0.5."""
    generator, total = augment.generator(), augment.total(count)
    offsets = generator.integers(2 * padding + 1, size=(total, 2))
    flips = generator.random(total) < 0.5
    top, left = torch.from_numpy(augment.own(offsets).copy()).unbind(1)
    return top, left, torch.from_numpy(augment.own(flips).copy())


def crop_and_flip(images: Tensor, padding: int, top: Tensor, left: Tensor, flip: Tensor) -> Tensor:
    """Each image's own window of the zero-padded image, mirrored where `flip` says so.

    Args:
        images: uint8 [B, 3, S, S].
        padding: P; windows lie in an image of side S + 2P.
        top, left: int64 [B] corner of the window.
        flip: bool [B].
    """
    side = images.shape[-1]
    padded = pad(images, (padding,) * 4)
    y = top[:, None] + torch.arange(side)  # [B, S] row of the padded image
    x = left[:, None] + torch.where(flip[:, None], torch.arange(side).flip(0), torch.arange(side))
    batch = torch.arange(len(images))[:, None, None]
    picked = padded.permute(0, 2, 3, 1)[batch, y[:, :, None], x[:, None, :]]  # [B, S, S, 3]
    return picked.permute(0, 3, 1, 2)
