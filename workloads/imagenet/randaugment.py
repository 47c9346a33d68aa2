"""RandAugment: operations drawn from sixteen, each at its strongest.

Source: Cubuk et al. 2020 (https://arxiv.org/abs/1909.13719); operations and strengths are those of
the benchmark's ViT.
"""

from typing import Any

import numpy as np

from algoperf_pt.data.augment import Augment
from algoperf_pt.optional import need

Array = np.ndarray[Any, Any]

REFERENCE_SIDE = 224  # pixels, to which the lengths belong
TRANSLATE, CUTOUT = 100, 40  # pixels; the latter is half a side
SHEAR, ROTATE, ENHANCE = 0.3, 30.0, 1.9
POSTERIZE, SOLARIZE, SOLARIZE_ADD = 4, 256, 110
GREY = 128
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


class Changes:
    """What is done to each row of a batch."""

    def __init__(self, names: Array, negative: Array, centres: Array) -> None:
        self.names, self.negative, self.centres = names, negative, centres

    def apply(self, row: int, pixels: Array) -> None:
        """Change uint8 [S, S, 3] in place."""
        for number in range(self.names.shape[1]):
            name = OPERATIONS[self.names[row, number]]
            pixels[:] = operate(
                pixels, name, bool(self.negative[row, number]), self.centres[row, number]
            )


def draw(
    count: int, operations: int, augment: Augment, generator: np.random.Generator
) -> Changes:
    """Operations of this rank's rows, drawn for the global batch."""
    shape = (augment.total(count), operations)
    names = generator.integers(len(OPERATIONS), size=shape)
    negative = generator.random(shape) < 0.5
    centres = generator.random((*shape, 2))
    return Changes(*(augment.own(drawn) for drawn in (names, negative, centres)))


def operate(pixels: Array, name: str, negative: bool, centre: Array, scale: float | None = None) -> Array:
    """uint8 [h, w, 3] -> the same shape."""
    Image = need("PIL.Image", "imagenet")
    ops, enhance = need("PIL.ImageOps", "imagenet"), need("PIL.ImageEnhance", "imagenet")
    image = Image.fromarray(pixels)
    sign = -1 if negative else 1
    height, width = pixels.shape[:2]
    scale = width / REFERENCE_SIDE if scale is None else scale
    move = round(TRANSLATE * scale)
    matrices = {
        "ShearX": (1, sign * SHEAR, 0, 0, 1, 0),
        "ShearY": (1, 0, 0, sign * SHEAR, 1, 0),
        "TranslateX": (1, 0, -sign * move, 0, 1, 0),
        "TranslateY": (1, 0, 0, 0, 1, -sign * move),
    }
    if name in matrices:
        image = image.transform(
            image.size, Image.Transform.AFFINE, matrices[name], fillcolor=(GREY,) * 3
        )
    elif name == "Rotate":
        image = image.rotate(sign * ROTATE, fillcolor=(GREY,) * 3)
    elif name in ("Brightness", "Color", "Contrast", "Sharpness"):
        image = getattr(enhance, name)(image).enhance(ENHANCE)
    elif name == "Posterize":
        image = ops.posterize(image, POSTERIZE)
    elif name == "SolarizeAdd":
        return np.where(pixels < GREY, np.minimum(pixels, 255 - SOLARIZE_ADD) + SOLARIZE_ADD, pixels)
    elif name == "AutoContrast":
        image = ops.autocontrast(image)
    elif name == "Equalize":
        image = ops.equalize(image)
    elif name == "Invert":
        image = ops.invert(image)
    elif name == "Cutout":
        half = round(CUTOUT * scale)
        x0, y0 = (int(max(0, c * n - half)) for c, n in zip(centre, (width, height)))
        x1, y1 = int(min(width, x0 + 2 * half)), int(min(height, y0 + 2 * half))
        done = pixels.copy()
        done[y0 : y1 + 1, x0 : x1 + 1] = GREY
        return done
    return np.asarray(image)
