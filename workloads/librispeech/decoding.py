"""Which ids does a model's output say?  The best class of each frame, runs collapsed, blanks left
out.

Shapes: B utterances, T output frames, V classes.
"""

import torch
from torch import Tensor

BLANK = 0


def greedy(logits: Tensor, frames: Tensor) -> tuple[Tensor, Tensor]:
    """Ids of each utterance, and their numbers.

    Args:
        logits: [B, T, V].
        frames: [B] valid frames of each.

    Returns:
        int64 [B, T] ids, zeros behind them, and int64 [B] their numbers, on the logits' device.
    """
    return collapse(logits.argmax(-1), frames)


def collapse(best: Tensor, frames: Tensor) -> tuple[Tensor, Tensor]:
    """The same from the best class of each frame, [B, T] int64."""
    places = torch.arange(best.shape[1], device=best.device)
    best = best.masked_fill(places >= frames[:, None], BLANK)
    before = torch.nn.functional.pad(best[:, :-1], (1, 0), value=BLANK)
    kept = (best != BLANK) & (best != before)
    # a kept id goes to the number of those before it; the others to a column that is cut off
    target = torch.where(kept, kept.cumsum(1) - 1, best.shape[1])
    ids = best.new_zeros(len(best), best.shape[1] + 1).scatter_(1, target, best)
    return ids[:, :-1], kept.sum(1)
