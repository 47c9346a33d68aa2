"""How well do logits spell a text?  Connectionist temporal classification: the probability of the
text summed over all ways to spread it over the frames.

Shapes: B utterances, T output frames, V classes, U target ids.  Source: Graves et al. 2006
(https://www.cs.toronto.edu/~graves/icml_2006.pdf).
"""

import torch
from torch import Tensor
from torch.nn.functional import ctc_loss, log_softmax

from algoperf_pt.workload import Loss
from workloads.librispeech.decoding import BLANK


def ctc(
    logits: Tensor,
    frames: Tensor,
    targets: Tensor,
    target_lengths: Tensor,
    weights: Tensor | None = None,
) -> Loss:
    """`per_example` [B] is the negative log-likelihood of the ids, not divided by their number, 0
    where the weight is 0; `n_valid` counts the ids of the weighted rows, and is at least 1.

    A text that does not fit into its frames has an infinite loss, unless its weight is 0.

    Args:
        logits: [B, T, V].
        frames: [B] valid output frames.
        targets: [B, U] ids, anything behind their number.
        target_lengths: [B] numbers of ids.
        weights: [B]; they select, they do not scale.
    """
    wanted = torch.ones_like(frames, dtype=torch.bool) if weights is None else weights > 0
    # unwanted rows get an empty target, which always fits: no infinity, and a gradient of zero
    lengths = torch.where(wanted, target_lengths, 0)
    used = max(int(frames.max()), 1)
    probabilities = log_softmax(logits[:, :used].transpose(0, 1), -1, dtype=torch.float32)
    found = ctc_loss(probabilities, targets, frames, lengths, BLANK, "none")  # [B]
    per_example = torch.where(wanted, found, 0.0)
    n_valid = lengths.sum().clamp(min=1).to(per_example.dtype)
    return Loss(per_example.sum(), n_valid, per_example)
