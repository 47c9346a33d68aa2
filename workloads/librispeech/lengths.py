"""How long is what?  Samples, frames of the front-end, frames after the subsampling, CTC's needs.

All of it is arithmetic on lengths: ints, NumPy arrays and tensors alike.  Shapes: B utterances, U
target ids.
"""

from typing import TypeVar

import numpy as np

HOP, WINDOW = 160, 401  # samples between frames, and of a frame (10 and 25 ms at 16 kHz)
LONGEST = 320_000  # samples of the longest utterance: 20 s
_LOOK_AHEAD = 2  # frames behind the last valid one that the first convolution sees
_CYCLE, _REMAINDER = 4, 2  # 20 s are 1,998 frames, which is 2 modulo 4

Lengths = TypeVar("Lengths")  # int, np.ndarray or Tensor of integers


def frames(samples: Lengths) -> Lengths:
    """Frames of so many samples, padding included: windows that fit in whole."""
    return (samples - WINDOW) // HOP + 1  # type: ignore[operator,no-any-return]


def valid_frames(lengths: Lengths) -> Lengths:
    """Frames that hold at least one real sample, of utterances of so many samples, where nothing
    is cut off: a batch of n frames has no more than n of them.
    """
    return -(-lengths // HOP)  # type: ignore[operator,no-any-return]


def subsampled(count: Lengths) -> Lengths:
    """Frames, valid or all, after one convolution of stride 2; there are two."""
    return (count + 1) // 2  # type: ignore[operator,no-any-return]


def output_frames(lengths: Lengths) -> Lengths:
    """Valid frames of the logits, of 40 ms, for utterances of so many samples (at most 20 s)."""
    return subsampled(subsampled(valid_frames(lengths)))


def padded_samples(longest: int) -> int:
    """Width of a batch whose longest utterance has so many samples: the shortest one that gives
    every utterance the logits that it has in a batch of 20 s.

    The convolutions pad an even length on one side and an odd one on both, so the number of frames
    must be like 1,998 modulo 4; and what they see behind the last valid frame must be silence,
    not their own padding.
    """
    valid = valid_frames(longest)
    if valid + _LOOK_AHEAD > frames(LONGEST) and longest <= LONGEST:
        return LONGEST
    least = valid + _LOOK_AHEAD
    count = least + (_REMAINDER - least) % _CYCLE
    return WINDOW + HOP * (count - 1)


def needed_frames(targets: "np.ndarray", lengths: "np.ndarray") -> "np.ndarray":
    """[B] output frames that CTC needs at least: one for each id, and a blank between equal ones.

    Args:
        targets: [B, U] ids; NumPy arrays or tensors, both.
        lengths: [B] ids of each.
    """
    inside = np.arange(1, targets.shape[1]) < np.asarray(lengths)[:, None]
    repeats = (np.asarray(targets[:, 1:]) == np.asarray(targets[:, :-1])) & inside
    return np.asarray(lengths) + repeats.sum(1)
