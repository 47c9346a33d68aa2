"""Which operations does RandAugment draw, and for which picture?

Source: Cubuk et al. 2020, "RandAugment" (https://arxiv.org/abs/1909.13719); the operations are
those of the benchmark's ViT: drawn with replacement, always applied, always at full strength.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from algoperf_pt.data.augment import Augment
from workloads.imagenet import operations as op
from workloads.imagenet.operations import Pixels

Array = np.ndarray[Any, Any]

OPERATIONS = (
    "ShearX",
    "ShearY",
    "TranslateX",
    "TranslateY",
    "Rotate",
    "Brightness",
    "Color",
    "Contrast",
    "Sharpness",
    "Posterize",
    "Solarize",
    "SolarizeAdd",
    "AutoContrast",
    "Equalize",
    "Invert",
    "Cutout",
)
_SIDE = 224  # pixels of the pictures to which TRANSLATE and CUTOUT belong
TRANSLATE, CUTOUT = 100, 40  # pixels; the latter is half the side of what is cut out


class Changes:
    """What is done to each row of a batch.

    Args:
        numbers: [B, N] places in OPERATIONS.
        negative: bool [B, N]: whether a shear, shift or turn goes the other way.
        centres: [B, N, 2] in 0..1, where something is cut out: x, y.
    """

    def __init__(self, numbers: Array, negative: Array, centres: Array) -> None:
        self._rows = [list(zip(*row)) for row in zip(numbers, negative, centres.tolist())]

    def apply(self, row: int, pixels: Pixels) -> None:
        """Change uint8 [S, S, 3] in place."""
        side = pixels.shape[1]
        sizes = round(TRANSLATE * side / _SIDE), round(CUTOUT * side / _SIDE)
        found = pixels
        for number, negative, (x, y) in self._rows[row]:
            centre = x * pixels.shape[1], y * pixels.shape[0]
            found = operate(found, OPERATIONS[number], -1 if negative else 1, centre, *sizes)
        if found is not pixels:
            pixels[:] = found


def draw(count: int, amount: int, augment: Augment, generator: np.random.Generator) -> Changes:
    """`amount` operations for each of this rank's `count` rows, drawn for the global batch."""
    shape = (augment.total(count), amount)
    numbers = generator.integers(len(OPERATIONS), size=shape)
    negative = generator.random(shape) < 0.5
    centres = generator.random((*shape, 2))
    return Changes(augment.own(numbers), augment.own(negative), augment.own(centres))


def operate(
    pixels: Pixels,
    name: str,
    sign: int,
    centre: Sequence[float],
    translate: int = TRANSLATE,
    cutout: int = CUTOUT,
) -> Pixels:
    """One operation; returns uint8 [h, w, 3], the same array where nothing changes.

    Args:
        pixels: uint8 [h, w, 3], contiguous; left as they are.
        name: of OPERATIONS.
        sign: 1 or -1, of those that have a direction.
        centre: x, y of a cut-out, in pixels.
        translate, cutout: their sizes in pixels.
    """
    match name:
        case "ShearX" | "ShearY" | "Rotate":
            return op.moved(pixels, name, sign)
        case "TranslateX":
            return op.shifted(pixels, 0, sign * translate)
        case "TranslateY":
            return op.shifted(pixels, sign * translate, 0)
        case "Contrast":
            return op.stronger(pixels, op.mean_grey(pixels))
        case "Brightness":
            return op.stronger(pixels, 0)
        case "Solarize":
            return pixels  # what is at least 256 is inverted: nothing is
        case "Cutout":
            return op.cut_out(pixels, centre, cutout)
    plain = {
        "Color": op.more_colour,
        "Sharpness": op.sharper,
        "Posterize": op.posterized,
        "SolarizeAdd": op.solarized,
        "AutoContrast": op.stretched,
        "Equalize": op.equalized,
        "Invert": np.invert,
    }
    found: Pixels = plain[name](pixels)
    return found
