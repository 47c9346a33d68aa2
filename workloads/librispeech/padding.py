"""How much of a batch is padding?  Frames that are computed over frames that hold sound, for
lengths like LibriSpeech's.

    python -m workloads.librispeech.padding
"""

from typing import Any

import numpy as np

from workloads.librispeech.audio import RATE
from workloads.librispeech.lengths import LONGEST, frames, padded_samples, valid_frames

_SHORTEST = 1.3  # seconds
_BATCHES = 200

Ints = np.ndarray[Any, np.dtype[np.int64]]


def train_lengths(count: int, rng: np.random.Generator) -> Ints:
    """Samples of training utterances: 12.3 s on average, most of them between 10 and 16.5 s, since
    they were cut at pauses of a long recording.
    """
    usual, short = rng.normal(14.0, 1.7, count), rng.uniform(_SHORTEST, 13.0, count)
    return _samples(np.where(rng.random(count) < 0.75, usual, short))


def eval_lengths(count: int, rng: np.random.Generator) -> Ints:
    """Samples of validation and test utterances: 7 s on average, of all lengths."""
    return _samples(np.exp(rng.normal(1.8, 0.55, count)))


def computed_frames(lengths: Ints, rows: int) -> int:
    """Frames of batches of `rows` utterances each, in the order given, each as wide as it must
    be.
    """
    batches = np.split(lengths, np.arange(rows, len(lengths), rows))
    return sum(len(batch) * frames(padded_samples(int(batch.max()))) for batch in batches)


def waste(seed: int = 0) -> dict[str, float]:
    """Computed over needed frames by the way of padding; 1 is none."""
    rng = np.random.default_rng(seed)
    train = train_lengths(256 * _BATCHES, rng)
    groups = np.concatenate([np.sort(batch) for batch in train.reshape(-1, 256)])
    evaluated = eval_lengths(5348, rng)
    full = frames(LONGEST)
    found = {
        "train, 20 s": full * len(train),
        "train, longest of 256": computed_frames(train, 256),
        "train, longest of 32 (8 ranks)": computed_frames(train, 32),
        "train, groups of 16 within 256": computed_frames(groups, 16),
        "evaluation, 20 s": full * len(evaluated),
        "evaluation, longest of 256, as they come": computed_frames(evaluated, 256),
        "evaluation, longest of 256, sorted": computed_frames(np.sort(evaluated), 256),
    }
    needed = {"train": train, "evaluation": evaluated}
    return {
        name: count / int(valid_frames(needed[name.split(",")[0]]).sum())
        for name, count in found.items()
    }


def _samples(seconds: Any) -> Ints:
    found: Ints = (RATE * np.clip(seconds, _SHORTEST, LONGEST / RATE)).astype(np.int64)
    return found


if __name__ == "__main__":
    for name, share in waste().items():
        print(f"{name}: {share:.3f}")
