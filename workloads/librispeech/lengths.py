"""How long is what?  Samples, frames of the front-end, frames after the subsampling, CTC's needs.

All of it is arithmetic on lengths: ints, NumPy arrays and tensors alike.  Shapes: B utterances, U
target ids.
"""

from typing import Any, TypeVar

import numpy as np
from torch import Tensor

HOP, WINDOW = 160, 401  # samples between frames, and of a frame (10 and 25 ms at 16 kHz)
LONGEST = 320_000  # samples of the longest utterance: 20 s
_LOOK_AHEAD = 2  # frames behind the last valid one that the first convolution sees
_CYCLE = 4  # both strides: zeros around images depend on a padded length modulo it

Ints = np.ndarray[Any, np.dtype[np.int64]]
Lengths = TypeVar("Lengths", int, Ints, Tensor)


def frames(samples: Lengths) -> Lengths:
    """Frames of so many samples, padding included: windows that fit in whole."""
    return (samples - WINDOW) // HOP + 1


def valid_frames(lengths: Lengths) -> Lengths:
    """Frames that hold at least one real sample, of utterances of so many samples, where nothing
    is cut off: a batch of n frames has no more than n of them.
    """
    return -(-lengths // HOP)


def subsampled(count: Lengths) -> Lengths:
    """Frames, valid or all, after one convolution of stride 2; there are two."""
    return (count + 1) // 2


def encoded(count: Lengths) -> Lengths:
    """Frames, valid or all, after both convolutions."""
    return subsampled(subsampled(count))


def output_frames(lengths: Lengths) -> Lengths:
    """Valid frames of the logits, of 40 ms, for utterances of so many samples (at most 20 s)."""
    return encoded(valid_frames(lengths))


def padded_samples(longest: int) -> int:
    """Width of a batch whose longest utterance has so many samples: the shortest one that gives
    every utterance the logits that it has in a batch of 20 s.

    The convolutions pad an even length on one side and an odd one on both, so the number of frames
    must be like 1,998 modulo 4; and what they see behind the last valid frame must be silence,
    not their own padding.
    """
    least = valid_frames(longest) + _LOOK_AHEAD
    if least > frames(LONGEST) and longest <= LONGEST:
        return LONGEST
    return WINDOW + HOP * (_aligned(least, frames(LONGEST)) - 1)


def sufficient_frames(valid: int, total: int) -> int:
    """Frames that suffice for the same outputs as `total` padded ones, if the longest utterance has
    `valid`: they are padded in the same way, and see the same behind the last valid one.
    """
    return _aligned(min(total, valid + _LOOK_AHEAD), total)


def _aligned(least: int, like: int) -> int:
    """The smallest number of frames of at least `least` that is padded as `like` is."""
    return least + (like - least) % _CYCLE


def needed_frames(targets: Any, lengths: Any) -> Ints:
    """[B] output frames that CTC needs at least: one for each id, and a blank between equal ones.

    Args:
        targets: [B, U] ids; both arrays or tensors on the CPU.
        lengths: [B] ids of each.
    """
    ids, counts = np.asarray(targets), np.asarray(lengths)
    inside = np.arange(1, ids.shape[1]) < counts[:, None]
    repeats: Ints = ((ids[:, 1:] == ids[:, :-1]) & inside).sum(1)
    return counts + repeats
