"""What is measured of wmt?  Packed rows, sentences to translate, pairs as long as those of news."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

from algoperf_pt.bench import Bench, Reference, Shape
from algoperf_pt.data.shards import Sample
from algoperf_pt.workload_data import Batch
from workloads.wmt.data import pack, pad
from workloads.wmt.packing import row_starts
from workloads.wmt.vocabulary import END

_SOURCE = "AlgoPerf 0.6's PyTorch side, one thread of a CPU"
_STEP: Shape = {"inputs": [4, 256], "model": [6, 1024, 32_000]}  # layers, width, vocabulary
_PAIRS = {"train": 60_000, "validation": 3_000, "test": 1_000}
_BLOCK = 4096  # pairs a member
_MEAN, _SPREAD = 3.2, 0.55  # of the logarithm of a side's ids: about 29 on average, as of news
_RATIO = 0.15  # spread of the logarithm of target over source length
_FIRST_PIECE = 3  # ids below it are special

Array = np.ndarray[Any, np.dtype[np.int64]]


class WmtBench(Bench):
    """Ids are drawn evenly, lengths as of news sentences; tokens of both sides are counted."""

    unit = "tokens"
    references = (
        Reference("step", _STEP, ratio=73.62, source=f"{_SOURCE}, NAdamW in float32"),
        Reference(
            "loader_train",
            {"inputs": [16, 256]},
            ratio=2.76,
            units=175_091,
            units_per_cpu_s=262_634,
            source=f"{_SOURCE}: tokenised and packed from text in memory",
        ),
        Reference(
            "loader_eval",
            {},
            ratio=0.84,
            units=87_269,
            units_per_cpu_s=404_539,
            source=f"{_SOURCE}: tokenised from text in memory, rows of 256",
        ),
    )

    def train_batch(self, batch_size: int, generator: torch.Generator) -> Batch:
        rng, length = _rng(generator), self.options["max_length"]
        lengths = np.zeros((0, 2), np.int64)
        starts = np.zeros(0, np.int64)
        while len(starts) <= batch_size:
            more = draw_lengths(batch_size * length // 8, length, rng)
            lengths = np.concatenate([lengths, more])
            starts = row_starts(*lengths.T, length, length)
        lengths = lengths[: starts[batch_size]]
        rows = np.repeat(np.arange(batch_size), np.diff(starts[: batch_size + 1]))
        return pack(self._ids(lengths, rng), lengths, rows, length)

    def eval_batch(self, batch_size: int, generator: torch.Generator) -> Batch:
        rng = _rng(generator)
        lengths = draw_lengths(batch_size, self.options["max_length"], rng)
        return pad(self._ids(lengths, rng), lengths)

    def units(self, batch: Batch) -> int:
        return int((batch["inputs"] > 0).sum() + (batch["targets"] > 0).sum())

    def shape(self, batch: Batch) -> Shape:
        sizes = [self.model[name] for name in ("layers", "width", "vocab_size")]
        shapes = {name: list(batch[name].shape) for name in ("inputs", "targets")}
        return {**shapes, "model": sizes}

    def stand_in(self) -> Any:
        """A vocabulary whose pieces are words, so that BLEU costs what it costs."""

        def decode(rows: list[list[int]]) -> list[str]:
            ends = [row.index(END) if END in row else 1 for row in rows]
            return [" ".join(f"w{token}" for token in row[:end]) for row, end in zip(rows, ends)]

        return SimpleNamespace(vocabulary=SimpleNamespace(decode=decode))

    def loader_data(self, folder: Path) -> None:
        """Pairs as the preparation stores them; the loader needs no vocabulary."""
        made = {split: self._members(split, count) for split, count in _PAIRS.items()}
        self.write_prepared(folder, made, samples_per_shard=256)

    def _members(self, split: str, count: int) -> Iterator[Sample]:
        rng = np.random.default_rng(len(split))
        for start in range(0, count, _BLOCK):
            rows = min(_BLOCK, count - start)
            lengths = draw_lengths(rows, self.options["max_length"], rng)
            tokens = self._ids(lengths, rng)
            sides = [np.split(ids, np.cumsum(n)[:-1]) for ids, n in zip(tokens, lengths.T)]
            ids = np.concatenate([side for pair in zip(*sides) for side in pair])
            table = np.concatenate([lengths, lengths], 1).astype(np.uint16)
            parts = {"length": table.tobytes(), "token": ids.astype(np.uint16).tobytes()}
            yield Sample(f"{start:08d}", parts, rows, ragged=("token",))

    def _ids(self, lengths: Array, rng: np.random.Generator) -> list[Array]:
        """Ids of the sources, and of the targets, each sentence with its end."""
        found = []
        for sizes in lengths.T:
            ids = rng.integers(_FIRST_PIECE, self.model["vocab_size"], int(sizes.sum()))
            ids[np.cumsum(sizes) - 1] = END
            found.append(ids)
        return found


def draw_lengths(count: int, longest: int, rng: np.random.Generator) -> Array:
    """[count, 2] ids of source and target, from 2 to `longest`."""
    source = rng.normal(_MEAN, _SPREAD, count)
    both = np.exp(np.stack([source, source + rng.normal(0, _RATIO, count)], 1))
    return np.clip(both.round().astype(np.int64), 2, longest)


def _rng(generator: torch.Generator) -> np.random.Generator:
    return np.random.default_rng(int(torch.randint(2**31, (), generator=generator)))


BENCH = WmtBench
