"""Which frames and mel bins does SpecAugment hide?  Drawn for a whole batch; the model applies it.

Park et al. 2019 (https://arxiv.org/abs/1904.08779), with time masks as long as the utterance
allows (Park et al. 2020, https://arxiv.org/abs/1912.05533, section 3.1).  Shapes: B utterances, M
masks along the time, F along the frequency; a mask is its start and its width.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from algoperf_pt.data.augment import Augment

BINS = 80  # mel bins

Floats = np.ndarray[Any, np.dtype[np.float32]]
Masks = np.ndarray[Any, np.dtype[np.int16]]
Ints = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True)
class SpecAugment:
    """How many masks there are and how wide.

    Args:
        time_masks: of an utterance.
        time_ratio: widest time mask, as a share of the utterance.
        frequency_masks: of an utterance.
        frequency_width: a frequency mask is narrower than so many bins.
    """

    time_masks: int
    time_ratio: float
    frequency_masks: int
    frequency_width: int

    def draw(self, frames: Ints, augment: Augment) -> tuple[Masks, Masks]:
        """Masks of this rank's utterances: [B, M, 2] along the time, [B, F, 2] along the frequency.

        Args:
            frames: [B] valid frames of this rank's utterances.
            augment: the randomness of the step; a place of the global batch draws the same numbers
                on any number of ranks.
        """
        rng, total = augment.generator(), augment.total(len(frames))

        def uniform(count: int) -> Floats:
            drawn: Floats = augment.own(rng.random((total, count), np.float32))
            return drawn

        width, start = uniform(self.time_masks), uniform(self.time_masks)
        times = time_masks(width, start, frames, self.time_ratio)
        width, start = uniform(self.frequency_masks), uniform(self.frequency_masks)
        return times, frequency_masks(width, start, self.frequency_width)


def time_masks(width: Floats, start: Floats, frames: Ints, ratio: float) -> Masks:
    """int16 [B, M, 2] starts and widths from uniform numbers, in float32 as the reference does.

    Args:
        width, start: [B, M] in [0, 1).
        frames: [B] valid frames.
        ratio: widest mask, as a share of the valid frames.
    """
    widest = np.float32(ratio) * frames.astype(np.float32)
    limit = np.maximum(1, np.floor(widest))[:, None]
    widths = np.minimum(np.floor(width * widest[:, None]), limit)
    return _masks(widths, start, frames[:, None])


def frequency_masks(width: Floats, start: Floats, limit: int) -> Masks:
    """int16 [B, F, 2] starts and widths, narrower than `limit` bins, from uniform [B, F]."""
    return _masks(np.floor(width * np.float32(limit)), start, np.int64(BINS))


def _masks(widths: Floats, start: Floats, length: Any) -> Masks:
    room = (length - widths + 1).astype(np.float32)
    return np.stack([np.floor(start * room), widths], -1).astype(np.int16)
