"""What would the usual loader cost?  ImageFolder, Pillow's transforms, DataLoader: measured beside
ours, never trained with.

It makes what our loader makes, with the libraries' own words.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from algoperf_pt.data.reader import ShardReader
from algoperf_pt.optional import need
from algoperf_pt.workload_data import Batch
from workloads.imagenet.prepare import LABEL
from workloads.imagenet.randaugment import OPERATIONS

_FILL = (128, 128, 128)


def write_folders(reader: ShardReader, root: Path) -> None:
    """A folder for each class, with its JPEG files."""
    for number, sample in enumerate(reader.read(np.arange(len(reader)))):
        label = int(np.frombuffer(sample["cls"], LABEL)[0])
        folder = root / f"{label:04d}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{number}.JPEG").write_bytes(sample["jpg"])


def batches(root: Path, rows: int, options: dict[str, Any]) -> Iterator[Batch]:
    """Endless training batches, made in this process.

    Args:
        root: of the folders.
        rows: of a batch.
        options: of the data (conf/workload: data.options).
    """
    transforms = need("torchvision.transforms", "imagenet")
    folders = need("torchvision.datasets", "imagenet").ImageFolder
    steps = [
        transforms.RandomResizedCrop(options["side"], tuple(options["area"]), options["ratio"]),
        transforms.RandomHorizontalFlip(),
        *[RandAugment(options["randaugment"])] * bool(options["randaugment"]),
        transforms.ToTensor(),
        transforms.Normalize(options["mean"], options["std"]),
    ]
    pictures = folders(str(root), transforms.Compose(steps))
    generator, mixing = torch.Generator().manual_seed(0), np.random.default_rng(0)
    loader = torch.utils.data.DataLoader(
        pictures, rows, shuffle=True, drop_last=True, generator=generator
    )
    while True:
        for inputs, targets in loader:
            if options["mixup"]:
                weight = float(mixing.beta(options["mixup"], options["mixup"]))
                dense = torch.nn.functional.one_hot(targets, options["classes"]).float()
                inputs = weight * inputs + (1 - weight) * inputs.roll(1, 0)
                targets = weight * dense + (1 - weight) * dense.roll(1, 0)
            yield {"inputs": inputs, "targets": targets, "weights": torch.ones(rows)}


class RandAugment:
    """Pillow's operations on a Pillow image."""

    def __init__(self, amount: int) -> None:
        self.amount, self.rng = amount, np.random.default_rng(0)

    def __call__(self, image: Any) -> Any:
        for _ in range(self.amount):
            name = OPERATIONS[self.rng.integers(len(OPERATIONS))]
            image = by_pillow(image, name, 1 if self.rng.random() < 0.5 else -1, self.rng)
        return image


def by_pillow(image: Any, name: str, sign: int, rng: np.random.Generator) -> Any:
    """One operation at its strongest."""
    enhance, ops = need("PIL.ImageEnhance", "imagenet"), need("PIL.ImageOps", "imagenet")
    matrices = {
        "ShearX": (1, 0.3 * sign, 0, 0, 1, 0),
        "ShearY": (1, 0, 0, 0.3 * sign, 1, 0),
        "TranslateX": (1, 0, -100 * sign, 0, 1, 0),
        "TranslateY": (1, 0, 0, 0, 1, -100 * sign),
    }
    if name in matrices:
        affine = need("PIL.Image", "imagenet").Transform.AFFINE
        return image.transform(image.size, affine, matrices[name], fillcolor=_FILL)
    if name in ("Brightness", "Color", "Contrast", "Sharpness"):
        return getattr(enhance, name)(image).enhance(1.9)
    table = [x + 110 if x < 128 else x for x in range(256)] * 3
    return {
        "Rotate": lambda: image.rotate(30 * sign, fillcolor=_FILL),
        "Posterize": lambda: ops.posterize(image, 4),
        "Solarize": lambda: ops.solarize(image, 256),
        "SolarizeAdd": lambda: image.point(table),
        "AutoContrast": lambda: ops.autocontrast(image),
        "Equalize": lambda: ops.equalize(image),
        "Invert": lambda: ops.invert(image),
        "Cutout": lambda: _cut_out(image, rng),
    }[name]()


def _cut_out(image: Any, rng: np.random.Generator) -> Any:
    width, height = image.size
    left, top = (int(max(0, rng.uniform(0, length) - 40)) for length in image.size)
    corners = left, top, min(width, left + 80), min(height, top + 80)
    found = image.copy()
    need("PIL.ImageDraw", "imagenet").Draw(found).rectangle(corners, _FILL)
    return found
