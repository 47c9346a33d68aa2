"""Small images that stay in memory: the splits' tables of pixels and labels."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from algoperf_pt.errors import ConfigError
from algoperf_pt.seeds import derive
from algoperf_pt.workload_data import Indices, WorkloadData


class ImageTables(WorkloadData):
    """Images of one size and integer labels, both parts of a few hundred megabytes at the most.

    Args:
        shape: channels, height, width.
        label_noise: {share, seed}: of the images that are trained on, those whose labels are dealt
            out again among them, the same in every trial; None: labels as they are.
        common: as `WorkloadData` takes them.
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        label_noise: Mapping[str, Any] | None = None,
        **common: Any,
    ) -> None:
        super().__init__(**common)
        self.shape, self.label_noise = shape, label_noise
        self._tables: dict[str, tuple[Tensor, Tensor]] = {}

    def table(self, split: str) -> tuple[Tensor, Tensor]:
        """(uint8 images [n, channels, height, width], int64 labels [n]) of a split."""
        if split not in self._tables:
            reader = self.reader(split)
            pixels = torch.from_numpy(reader.all_rows("image")).reshape(-1, *self.shape)
            labels = torch.from_numpy(reader.all_rows("label")).flatten().long()
            if split == "train" and self.label_noise is not None:
                rows = np.arange(len(labels)) if self.kept is None else self.kept
                labels = noisy(labels, rows, **self.label_noise)
            self._tables[split] = pixels, labels
        return self._tables[split]


def noisy(labels: Tensor, rows: Indices, share: float, seed: int) -> Tensor:
    """Labels of which a share says nothing about the image; each class stays as frequent.

    Args:
        labels: int64 [n].
        rows: of these a share is chosen, and each gets the label of another one of them; it may be
            the same class, by chance one in so many as there are classes.
        share: from 0 to 1.
        seed: of the choice.
    """
    if not 0.0 <= share <= 1.0:
        raise ConfigError(
            f"a share of {share} of the labels",
            expected="a number from 0 to 1",
            where="workload.data.options.label_noise.share",
        )
    rng = np.random.default_rng(derive(seed, "label_noise"))
    chosen = torch.from_numpy(rng.permutation(rows)[: round(share * len(rows))])
    changed = labels.clone()
    changed[chosen] = labels[chosen.roll(1)]
    return changed
