"""What is measured of LibriSpeech?  Utterances of 20 s, or as long as the longest may be; shards of
lengths like the real ones.

`workload.prepare.max_samples=192000` makes batches of 12 s, `workload.prepare.codec=flac` shards of
FLAC.
"""

import io
import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

from algoperf_pt.bench import Bench, Reference, Shape
from algoperf_pt.data.augment import Augment
from algoperf_pt.data.index import DataIndex
from algoperf_pt.data.reader import ShardReader
from algoperf_pt.data.shards import Sample
from algoperf_pt.optional import need
from algoperf_pt.workload_data import Batch
from workloads.imagenet.bench import Parts
from workloads.librispeech import rival
from workloads.librispeech.audio import RATE
from workloads.librispeech.data import CODECS, COUNTS, LibrispeechData, lengths
from workloads.librispeech.lengths import needed_frames, padded_samples, valid_frames
from workloads.librispeech.padding import eval_lengths, train_lengths
from workloads.librispeech.specaugment import SpecAugment
from workloads.librispeech.vocabulary import END, EXTRA

_SOURCE = "AlgoPerf 0.6's PyTorch side, one thread of a CPU"
_FIGURES = {  # by sizes of the model: a step of 20 s, one of 12 s, an evaluation of 20 s
    "ConformerWorkload": ({"width": 512, "blocks": 4}, 22.85, 17.48, 5.83),
    "DeepSpeechWorkload": ({"width": 512, "lstm_layers": 6}, 15.35, 17.16, 5.87),
}
_LONG, _SHORT = 320_000, 192_000  # samples
_UTTERANCES = {"train": 512, "validation": 96, "test": 32}
_IDS_PER_SECOND = 4
_LOUD = 1000  # standard deviation of the noise
_FIRST_PIECE = 3  # ids below it are special

Ints = np.ndarray[Any, np.dtype[np.int64]]


class LibrispeechBench(Bench):
    """Noise, and ids drawn evenly.  The first utterance of a batch is as long as one may be; the
    others have lengths like training utterances.
    """

    unit = "utterances"

    @property
    def references(self) -> tuple[Reference, ...]:  # type: ignore[override]
        """Of the base workloads, batches of one; the reference pads every utterance to 20 s."""
        if self.workload.get("base"):
            return ()
        sizes, long, short, evaluation = self._figures
        step = f"{_SOURCE}, NAdamW in float32"
        figures = (("step", _LONG, long), ("step", _SHORT, short), ("eval", _LONG, evaluation))
        found = [
            Reference(what, {"inputs": [1, padded_samples(count)], **sizes}, ratio, source=step)
            for what, count, ratio in figures
        ]
        loader = Reference(
            "loader_train",
            {},
            ratio=0.58,
            units=96,
            units_per_cpu_s=748.3,
            source=f"{_SOURCE}: files of NumPy, int16, 12.3 s on average, batches of 16",
        )
        return (*found, loader)

    @property
    def _figures(self) -> tuple[dict[str, int], float, float, float]:
        return _FIGURES[self.workload["_target_"].rpartition(".")[2]]

    @property
    def longest(self) -> int:
        """Samples."""
        found: int = self.workload["prepare"]["max_samples"]
        return found

    # ---- batches

    def train_batch(self, batch_size: int, generator: torch.Generator) -> Batch:
        rng = _rng(generator)
        batch = self._batch(batch_size, rng)
        options = self.options["specaugment"]
        if options is not None:
            frames = valid_frames(batch["input_lengths"].numpy().astype(np.int64))
            masks = SpecAugment(**options).draw(frames, Augment(int(rng.integers(2**31))))
            names = ("time_masks", "frequency_masks")
            batch |= dict(zip(names, map(torch.from_numpy, masks)))
        return batch

    def eval_batch(self, batch_size: int, generator: torch.Generator) -> Batch:
        return self._batch(batch_size, _rng(generator))

    def shape(self, batch: Batch) -> Shape:
        names = (*self._figures[0], "vocab_size")
        return {**super().shape(batch), **{name: self.model[name] for name in names}}

    def stand_in(self) -> Any:
        """A vocabulary whose pieces are words."""

        def decode(rows: list[list[int]]) -> list[str]:
            return [" ".join(f"w{token}" for token in row) for row in rows]

        return SimpleNamespace(vocabulary=SimpleNamespace(decode=decode))

    def _batch(self, rows: int, rng: np.random.Generator) -> Batch:
        samples = np.minimum(train_lengths(rows, rng), self.longest)
        samples[0] = self.longest
        ids = [self._ids(int(count), rng) for count in samples]
        width, most = padded_samples(self.longest), max(map(len, ids))
        inputs, targets = np.zeros((rows, width), np.int16), np.zeros((rows, most), np.int32)
        for row, (count, tokens) in enumerate(zip(samples, ids)):
            inputs[row, :count] = _noise(int(count), rng)
            targets[row, : len(tokens)] = tokens
        return {
            "inputs": torch.from_numpy(inputs),
            "input_lengths": torch.from_numpy(samples.astype(np.int32)),
            "targets": torch.from_numpy(targets),
            "target_lengths": torch.tensor([len(tokens) for tokens in ids], dtype=torch.int32),
            "weights": torch.ones(rows),
        }

    def _ids(self, samples: int, rng: np.random.Generator) -> Ints:
        """Of an utterance, with the end."""
        count = max(2, _IDS_PER_SECOND * samples // RATE)
        ids = rng.integers(_FIRST_PIECE, self.model["vocab_size"], count)
        ids[-1] = END
        return ids

    # ---- loader

    def loader_data(self, folder: Path) -> None:
        """Utterances as the preparation stores them; the loader needs no vocabulary."""
        made = {split: self._members(split, count) for split, count in _UTTERANCES.items()}
        counts = {split: {"kept": n, "unalignable": 0} for split, n in _UTTERANCES.items()}
        assets = {COUNTS: json.dumps(counts).encode()}
        self.write_prepared(folder, made, samples_per_shard=1000, assets=assets)

    def _members(self, split: str, count: int) -> Iterator[Sample]:
        rng, codec = np.random.default_rng(len(split)), self.workload["prepare"]["codec"]
        drawn = train_lengths(count, rng) if split == "train" else eval_lengths(count, rng)
        for number, samples in enumerate(np.minimum(drawn, self.longest)):
            sound, ids = _noise(int(samples), rng), self._ids(int(samples), rng)
            needed = needed_frames(ids[None], np.array([len(ids)]))[0]
            parts = {
                CODECS[codec]: sound.tobytes() if codec == "int16" else _flac(sound),
                "token": ids.astype(np.uint16).tobytes(),
                "length": np.array([samples, len(ids), needed], np.int32).tobytes(),
            }
            yield Sample(f"{number:06d}", parts)

    def rival(self, folder: Path, rows: int) -> Iterator[Batch] | None:
        """The usual loader on the same samples."""
        if self.workload["prepare"]["codec"] != "int16":
            return None
        root = folder.with_name(f"{folder.name}_files")
        rival.write_files(ShardReader(DataIndex.open(folder), "train"), root)
        return rival.batches(root, rows)

    def loader_parts(self, data: Any, rows: int) -> dict[str, float]:
        """CPU ms an utterance of each stage of a training batch, done one after another."""
        assert isinstance(data, LibrispeechData)
        parts, reader = Parts(), data.reader("train")
        indices = np.random.default_rng(0).permutation(data.num_examples["train"])[:rows]
        with parts("lengths"):
            samples, ids, _ = lengths(reader, indices).T
        with parts("allocate"):
            inputs = torch.zeros(rows, padded_samples(int(samples.max())), dtype=torch.int16)
        members = []
        for row in range(rows):
            with parts("read"):
                members += reader.read(indices[row : row + 1])
        for row, member in enumerate(members):
            with parts("decode_collate"):
                data.fill(inputs[row, : int(samples[row])].numpy(), member, str(row))
        with parts("masks"):
            data.masks(samples, inputs.shape[1], Augment(0))
        return {name: 1e3 * seconds / rows for name, seconds in parts.seconds.items()}


def _noise(samples: int, rng: np.random.Generator) -> Any:
    """int16 [samples], louder and softer four times a second as speech is."""
    slow = np.sin(2 * np.pi * 2 / RATE * np.arange(samples, dtype=np.float32)) ** 2
    noise = rng.standard_normal(samples, np.float32)
    return (_LOUD * slow * noise).astype(np.int16)


def _flac(sound: Any) -> bytes:
    buffer = io.BytesIO()
    need("soundfile", EXTRA).write(buffer, sound, RATE, format="FLAC", subtype="PCM_16")
    return buffer.getvalue()


def _rng(generator: torch.Generator) -> np.random.Generator:
    return np.random.default_rng(int(torch.randint(2**31, (), generator=generator)))


BENCH = LibrispeechBench
