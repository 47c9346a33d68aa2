"""LibriSpeech from shards: samples and ids of utterances, padded no further than the batch needs.

Shapes: B utterances, W samples, U ids, M and F masks of SpecAugment.
"""

import json
import warnings
from typing import Any

import numpy as np
import torch
from torch import Tensor

from algoperf_pt.data.augment import Augment
from algoperf_pt.data.reader import Indices, ShardReader
from algoperf_pt.errors import DataError
from algoperf_pt.ranks import Ranks
from workloads.librispeech.audio import AudioError, decode_into
from workloads.librispeech.lengths import frames, output_frames, padded_samples, valid_frames
from workloads.librispeech.specaugment import SpecAugment
from workloads.librispeech.vocabulary import FILE, Vocabulary
from workloads.text.data import VocabularyData

COUNTS = "counts.json"  # beside the shards: what became of the utterances of each split
CODECS = {"int16": "pcm", "flac": "flac"}  # codec -> part of a member


class LibrispeechData(VocabularyData):
    """Batches: `inputs` [B, W] int16, `input_lengths` [B] int32, `targets` [B, U] int32 with the
    end, `target_lengths` [B] int32, `weights` [B] float32; in training `time_masks` [B, M, 2] and
    `frequency_masks` [B, F, 2] int16, starts and widths.

    W and U follow from the rank's own utterances; which W gives the figures of the widest batch is
    in lengths.py.  A training utterance that CTC cannot align weighs 0: its loss is infinite.

    Args:
        specaugment: arguments of `SpecAugment`; None: nothing is hidden.
        common: as `WorkloadData` takes them.
    """

    vocabulary_class, vocabulary_file = Vocabulary, FILE
    heeds_subset = True

    def __init__(self, specaugment: dict[str, Any] | None = None, **common: Any) -> None:
        super().__init__(**common)
        self.specaugment = None if specaugment is None else SpecAugment(**specaugment)
        self._eval_index: dict[str, Indices] = {}

    def train_order(self, global_batch_size: int, seed: int, ranks: Ranks) -> Any:
        """A permutation of the rows in each epoch."""
        if ranks.rank == 0:
            self._warn_of_unalignable()
        return super().train_order(global_batch_size, seed, ranks)

    def build(self, split: str, indices: Indices, augment: Augment | None) -> dict[str, Tensor]:
        """Utterances as they are, zeros behind them."""
        reader = self.reader(split)
        samples, ids, needed = lengths(reader, indices).T
        rows, width = len(indices), padded_samples(int(samples.max()))
        batch = {
            "inputs": torch.zeros(rows, width, dtype=torch.int16),
            "input_lengths": torch.from_numpy(samples.astype(np.int32)),
            "targets": torch.zeros(rows, int(ids.max()), dtype=torch.int32),
            "target_lengths": torch.from_numpy(ids.astype(np.int32)),
            "weights": torch.ones(rows),
        }
        inputs, targets = batch["inputs"].numpy(), batch["targets"].numpy()
        for row, index in enumerate(indices):
            (member,) = reader.read(indices[row : row + 1])
            self.fill(inputs[row, : samples[row]], member, f"row {index} of {split}")
            targets[row, : ids[row]] = np.frombuffer(member["token"], np.uint16)
        if augment is not None:
            alignable = needed <= output_frames(samples)
            batch["weights"] = torch.from_numpy(alignable.astype(np.float32))
            batch |= self.masks(samples, width, augment)
        return batch

    def eval_index(self, split: str) -> Indices:
        """Utterances by their length: equal lengths meet in a batch, and dealing them out one by
        one gives every rank the same work.
        """
        if split not in self._eval_index:
            chosen = super().eval_index(split)
            rows = np.arange(self.num_examples[split]) if chosen is None else chosen
            samples = lengths(self.reader(split), rows)[:, 0]
            self._eval_index[split] = rows[np.lexsort((rows, samples))]
        return self._eval_index[split]

    def row_sizes(self, split: str) -> Indices:
        """Samples and ids."""
        reader = self.reader(split)
        return lengths(reader, np.arange(self.index.rows(split)))[:, :2]

    def fill(self, out: Any, member: dict[str, bytes], name: str) -> None:
        """Put an utterance's samples into its row [samples] of a batch."""
        if CODECS["int16"] in member:
            out[:] = np.frombuffer(member[CODECS["int16"]], np.int16)
            return
        try:
            decode_into(member[CODECS["flac"]], out)
        except AudioError as error:
            raise DataError(f"{self.root}, {name}: {error}") from error

    def masks(self, samples: Indices, width: int, augment: Augment) -> dict[str, Tensor]:
        """SpecAugment's masks of utterances [B] of so many samples, in a batch of `width`."""
        if self.specaugment is None:
            return {}
        valid = np.minimum(valid_frames(samples), frames(width))
        names = ("time_masks", "frequency_masks")
        drawn = self.specaugment.draw(valid, augment)
        return {name: torch.from_numpy(masks) for name, masks in zip(names, drawn)}

    def _warn_of_unalignable(self) -> None:
        counts = json.loads(self.index.asset(COUNTS).read_text())["train"]
        if counts["unalignable"]:
            warnings.warn(
                f"{counts['unalignable']} of {counts['kept']} training utterances have more ids "
                "than CTC can align with their sound; they weigh 0",
                stacklevel=2,
            )


def lengths(reader: ShardReader, indices: Indices) -> Indices:
    """[B, 3] samples, ids, and output frames that CTC needs, of these rows."""
    order = np.argsort(indices, kind="stable")
    found = np.empty((len(indices), 3), np.int64)
    found[order] = reader.read_rows(indices[order], "length").view(np.int32)
    return found
