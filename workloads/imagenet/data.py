"""ImageNet from shards: JPEG bytes to uint8 windows, augmented; normalised and mixed on the device.

Shapes: B batch, S side of a window (224).  On the way to the device pictures are [B, S, S, 3], so
that the network sees channels-last memory.
"""

from collections.abc import Iterator, Sequence
from importlib.metadata import version
from typing import Any

import numpy as np
import torch
from torch import Tensor

from algoperf_pt.data.augment import Augment
from algoperf_pt.data.row_cache import RowCache
from algoperf_pt.ranks import Ranks
from algoperf_pt.workload_data import Batch, Indices, WorkloadData
from workloads.imagenet import bicubic, mixup, randaugment, windows
from workloads.imagenet.decode import Picture, Pixels, Scratch
from workloads.imagenet.prepare import LABEL
from workloads.imagenet.resample import normalise, pillow_resize, resize_window

EVALUATED = 1  # version of the evaluation's transforms: what is kept belongs to it


class ImagenetData(WorkloadData):
    """Photographs with a class each.

    Batches: `inputs` [B, 3, S, S] float32, channels-last; `targets` [B] int64, or, mixed in
    training, [B, classes] float32; `weights` [B] float32.

    Args:
        side: S, pixels.
        short_side: validation pictures are scaled to it before their central window is cut; test
            windows are side / short_side of the shorter side.
        area: bounds of the share of a picture that a training window covers.
        ratio: bounds of a training window's width over its height.
        randaugment: operations on a training picture.
        mixup: alpha; 0: training pictures are not mixed.
        classes: columns of mixed targets.
        mean, std: of the channels red, green, blue, on the scale [0, 1].
        eval_cache: keep evaluated pictures in the dataset's folder once they are made.
        common: as `WorkloadData` takes them.
    """

    def __init__(
        self,
        side: int,
        short_side: int,
        area: Sequence[float],
        ratio: Sequence[float],
        mean: Sequence[float],
        std: Sequence[float],
        randaugment: int = 0,
        mixup: float = 0.0,
        classes: int = 1000,
        eval_cache: bool = True,
        **common: Any,
    ) -> None:
        super().__init__(**common)
        self.side, self.short_side, self.area, self.ratio = side, short_side, area, ratio
        self.mean, self.std = mean, std
        self.randaugment, self.mixup, self.classes = randaugment, mixup, classes
        self.eval_cache = eval_cache
        self._caches: dict[str, RowCache] = {}
        self.scratch = Scratch()

    def eval_batches(self, split: str, ranks: Ranks) -> Iterator[Batch]:
        """Each example once; the split's cache is opened here, before there are workers."""
        self._cache(split)
        return super().eval_batches(split, ranks)

    def build(self, split: str, indices: Indices, augment: Augment | None) -> dict[str, Tensor]:
        """Decode rows and bring them to one size; in training as drawn."""
        if augment is not None:
            return self._train(split, indices, augment)
        inputs = np.empty((len(indices), self.side, self.side, 3), self._kind(split))
        cache = self._cache(split)
        rows = np.arange(len(indices)) if cache is None else cache.load(indices, inputs)
        for row in rows.tolist():
            picture = Picture(self.reader(split).read(indices[row : row + 1])[0]["jpg"])
            inputs[row] = self.evaluated(split, picture)
            if cache is not None:
                cache.store(int(indices[row]), inputs[row])
        labels = self.reader(split).read_rows(indices, "cls").view(LABEL).ravel()
        targets = torch.from_numpy(labels.astype(np.int64))
        return {"inputs": torch.from_numpy(inputs), "targets": targets}

    def finish(self, batch: Batch) -> Batch:
        """Mix and normalise on the device: a quarter of the bytes travels."""
        done = dict(batch)
        mixed = (done.pop("mix_weight"), done.pop("mix_partner")) if "mix_weight" in done else None
        images = normalise(done["inputs"], self.mean, self.std, mixed)
        if mixed is not None:
            labels = mixup.dense(done["targets"], self.classes)
            done["targets"] = mixup.mix(labels, *mixed)
        return {**done, "inputs": images.permute(0, 3, 1, 2)}

    def _train(self, split: str, indices: Indices, augment: Augment) -> dict[str, Tensor]:
        count, side = len(indices), self.side
        members = self.reader(split).read(indices)
        pictures = [Picture(member["jpg"]) for member in members]
        sizes = np.array([(picture.width, picture.height) for picture in pictures])
        draws, generator = windows.draw(count, augment)
        chosen = windows.random_windows(sizes, draws, self.area, self.ratio)
        changes = randaugment.draw(count, self.randaugment, augment, generator)
        inputs = torch.empty((count, side, side, 3), dtype=torch.uint8)
        for row, (picture, window) in enumerate(zip(pictures, chosen.tolist())):
            pixels = picture.rows(window[0] + window[2], self.scratch)
            resize_window(pixels, window, bool(draws.flip[row]), inputs[row])
            changes.apply(row, inputs[row].numpy())
        labels = np.frombuffer(b"".join(member["cls"] for member in members), LABEL)
        batch = {"inputs": inputs, "targets": torch.from_numpy(labels.astype(np.int64))}
        if self.mixup > 0:
            batch["mix_weight"] = mixup.draw_weight(generator, self.mixup)
            batch["mix_partner"] = mixup.partners(count, augment.world)
        return batch

    def evaluated(self, split: str, picture: Picture) -> Any:
        """[S, S, 3]: a picture as evaluations see it; float32 of the test split, else uint8."""
        if split == "test":
            return bicubic_square(picture, self.side, self.short_side, self.scratch)
        return scaled_and_cut(picture.rows(None, self.scratch), self.side, self.short_side)

    # ---- what evaluations keep

    def _cache(self, split: str) -> RowCache | None:
        """The split's evaluated pictures; None if they are not kept."""
        if self.eval_cache and split not in self._caches:
            rows = self.eval_index(split)
            covered = np.arange(self.num_examples[split]) if rows is None else np.sort(rows)
            shape, identity = (self.side, self.side, 3), self._identity(split)
            self._caches[split] = RowCache(
                self.root, split, identity, covered, shape, self._kind(split)
            )
        return self._caches.get(split)

    def _kind(self, split: str) -> type[np.generic]:
        return np.float32 if split == "test" else np.uint8

    def _identity(self, split: str) -> dict[str, Any]:
        """All that an evaluated picture follows from."""
        return {
            "data": self.index.fingerprint,
            "split": split,
            "transform": [EVALUATED, self.side, self.short_side],
            "versions": {name: version(name) for name in ("numpy", "pillow", "simplejpeg")},
        }


def scaled_and_cut(pixels: Pixels, side: int, short_side: int) -> Pixels:
    """uint8 [side, side, 3]: the shorter side scaled to `short_side`, then the central window."""
    size = windows.scaled_size(pixels.shape[1], pixels.shape[0], short_side)
    top, left = windows.central_crop(*size, side)
    return pillow_resize(pixels, size)[top : top + side, left : left + side]


def bicubic_square(
    picture: Picture, side: int, short_side: int, scratch: Scratch | None = None
) -> Any:
    """float32 [side, side, 3]: the central square of side / short_side of the shorter side,
    scaled.
    """
    place = windows.central_square(picture.width, picture.height, side / short_side)
    top, left, size = place
    pixels = picture.rows(top + size, scratch)
    return bicubic.resize(pixels[top : top + size, left : left + size], side)
