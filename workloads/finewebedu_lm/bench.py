"""Windows of ids for speed measurements; the reference states no figure."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from algoperf_pt.bench import Bench
from algoperf_pt.data.shards import Sample
from algoperf_pt.workload_data import Batch

_BLOCK = 1024  # windows a member, as in the preparation
_MEMBERS = {"train": 32, "validation": 2}  # 67 MB to train on, at the real window


class FinewebEduBench(Bench):
    """Ids are drawn evenly; a token is a position with a loss."""

    unit = "tokens"

    def train_batch(self, batch_size: int, generator: torch.Generator) -> Batch:
        size = (batch_size, self.model["context"] + 1)
        windows = torch.randint(self.model["vocabulary"], size, generator=generator)
        inputs, targets = windows[:, :-1].contiguous(), windows[:, 1:].contiguous()
        return {"inputs": inputs, "targets": targets, "weights": torch.ones(targets.shape)}

    def units(self, batch: Batch) -> int:
        return int((batch["weights"] > 0).sum())

    def loader_data(self, folder: Path) -> None:
        rng = np.random.default_rng(0)
        made = {split: self._members(count, rng) for split, count in _MEMBERS.items()}
        self.write_prepared(folder, made)

    def _members(self, count: int, rng: np.random.Generator) -> Iterator[Sample]:
        size = (_BLOCK, self.model["context"] + 1)
        for number in range(count):
            ids = rng.integers(0, self.model["vocabulary"], size, np.uint16)
            yield Sample(f"{number:06d}", {"ids": ids.tobytes()}, _BLOCK)


BENCH = FinewebEduBench
