"""What is measured of ImageNet?  Shards of JPEGs of its usual size, beside the usual loader.

The reference's figures: one CPU thread, eager, NAdamW, batches of eight.
"""

import io
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from algoperf_pt.bench import Reference
from algoperf_pt.data.augment import Augment
from algoperf_pt.data.index import DataIndex
from algoperf_pt.data.reader import ShardReader
from algoperf_pt.data.shards import Sample
from algoperf_pt.optional import need
from algoperf_pt.spec import SPLITS
from algoperf_pt.workload_data import Batch
from workloads.image_classification.bench import ImageBench
from workloads.imagenet import mixup, randaugment, rival, windows
from workloads.imagenet.data import ImagenetData
from workloads.imagenet.decode import Picture
from workloads.imagenet.prepare import LABEL
from workloads.imagenet.resample import resize_window

_SHAPE = {"inputs": [8, 3, 224, 224]}
_FIGURES = {  # of the base workloads: step, evaluation
    "imagenet_resnet": (14.25, 4.19),
    "imagenet_vit": (17.54, 5.08),
}
_HEIGHT, _WIDTH = 375, 500  # pixels of most photographs in ImageNet
_DISTINCT, _EVALUATED = 256, 64  # pictures
_QUALITY = 88  # gives JPEGs of about 110 kB
_FIELD = 1024  # pixels of the noise that pictures are cut from

Array = np.ndarray[Any, Any]


class ImagenetBench(ImageBench):
    """Normal inputs as channels-last; labels as the training mixes them."""

    @property
    def references(self) -> tuple[Reference, ...]:  # type: ignore[override]
        """Of the base workloads alone."""
        figures = _FIGURES.get(self.workload["name"], ())
        source = "AlgoPerf 0.6, PyTorch, one CPU thread, eager, NAdamW, batch 8"
        return tuple(
            Reference(what, _SHAPE, ratio, source=source)
            for what, ratio in zip(("step", "eval"), figures)
        )

    @property
    def image(self) -> tuple[int, int, int]:
        return 3, self.options["side"], self.options["side"]

    def train_batch(self, batch_size: int, generator: torch.Generator) -> Batch:
        batch = self.eval_batch(batch_size, generator)
        if self.options["mixup"]:
            weight = mixup.draw_weight(np.random.default_rng(0), self.options["mixup"])
            labels = mixup.dense(batch["targets"], self.options["classes"])
            batch["targets"] = mixup.mix(labels, weight, mixup.partners(batch_size, 1))
        return batch

    def eval_batch(self, batch_size: int, generator: torch.Generator) -> Batch:
        batch = super().train_batch(batch_size, generator)
        layout = torch.channels_last
        return {**batch, "inputs": batch["inputs"].contiguous(memory_format=layout)}

    # ---- loader

    def loader_data(self, folder: Path) -> None:
        rng = np.random.default_rng(0)
        fields = [_natural(rng) for _ in range(3)]
        files = [_photograph(fields, rng) for _ in range(_DISTINCT)]
        rows = {split: _EVALUATED for split in SPLITS}
        rows["train"] = max(_DISTINCT, self.workload["baseline_batch_size"])
        self.write_prepared(folder, {split: self._pictures(files, rows[split]) for split in SPLITS})

    def _pictures(self, files: list[bytes], rows: int) -> Iterator[Sample]:
        for number in range(rows):
            label = np.array(number % self.model["classes"], LABEL).tobytes()
            yield Sample(f"{number:06d}", {"jpg": files[number % len(files)], "cls": label})

    def rival(self, folder: Path, rows: int) -> Iterator[Batch]:
        """ImageFolder, Pillow's transforms and DataLoader, on the same pictures."""
        root = folder.with_name(f"{folder.name}_folders")
        rival.write_folders(ShardReader(DataIndex.open(folder), "train"), root)
        return rival.batches(root, rows, self.options)

    def loader_parts(self, data: Any, rows: int) -> dict[str, float]:
        """CPU ms an example of each stage of a training batch, done one after another."""
        assert isinstance(data, ImagenetData)
        parts = Parts()
        augment = Augment(0)
        indices = np.random.default_rng(0).permutation(data.num_examples["train"])[:rows]
        with parts("read"):
            members = data.reader("train").read(indices)
        with parts("draw"):
            pictures = [Picture(member["jpg"]) for member in members]
            sizes = np.array([(picture.width, picture.height) for picture in pictures])
            draws, generator = windows.draw(rows, augment)
            chosen = windows.random_windows(sizes, draws, data.area, data.ratio).tolist()
            changes = randaugment.draw(rows, data.randaugment, augment, generator)
        out = torch.empty((rows, data.side, data.side, 3), dtype=torch.uint8)
        for row, (picture, window) in enumerate(zip(pictures, chosen)):
            with parts("decode"):
                pixels = picture.rows(window[0] + window[2], data.scratch)
            with parts("crop_resize_collate"):
                resize_window(pixels, window, False, out[row])
            with parts("flip"):
                if draws.flip[row]:
                    out[row] = out[row].flip(1)
            with parts("augment"):
                changes.apply(row, out[row].numpy())
        batch = data.build("train", indices, augment)
        with parts("finish"):
            data.finish(batch)
        return {name: 1e3 * seconds / rows for name, seconds in parts.seconds.items()}


class Parts:
    """CPU seconds by name: `with parts("decode"): ...`."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def __call__(self, name: str) -> "Parts":
        self._name = name
        self.seconds.setdefault(name, 0.0)
        return self

    def __enter__(self) -> None:
        self._start = time.process_time()

    def __exit__(self, *_: object) -> None:
        self.seconds[self._name] += time.process_time() - self._start


def _natural(rng: np.random.Generator) -> Array:
    """[_FIELD, _FIELD]: noise whose amplitude falls with frequency as in photographs; std 1."""
    frequency = np.hypot(np.fft.fftfreq(_FIELD)[:, None], np.fft.rfftfreq(_FIELD)) + 1 / _FIELD
    spectrum = np.fft.rfft2(rng.normal(size=(_FIELD, _FIELD))) / frequency
    field: Array = np.fft.irfft2(spectrum, (_FIELD, _FIELD))
    return field / field.std()


def _photograph(fields: list[Array], rng: np.random.Generator) -> bytes:
    """A JPEG: one field gives the light, the others the colours."""
    parts = []
    for field in fields:
        top, left = rng.integers(0, _FIELD - _HEIGHT), rng.integers(0, _FIELD - _WIDTH)
        parts.append(field[top : top + _HEIGHT, left : left + _WIDTH])
    light, one, two = parts
    channels = [light + 0.3 * one, light, light + 0.3 * two]
    pixels = np.clip(118 + rng.uniform(35, 65) * np.stack(channels, -1), 0, 255).astype(np.uint8)
    file = io.BytesIO()
    need("PIL.Image", "imagenet").fromarray(pixels).save(file, "JPEG", quality=_QUALITY)
    return file.getvalue()


BENCH = ImagenetBench
