"""What do both models share?  The way from a batch of samples to packed frames of 40 ms, in groups
of utterances of like lengths, and the way back to a batch of logits.

Shapes: B utterances, W samples, n frames, T output frames of the whole batch; S valid output frames
(packing.py); G utterances of a group; C channels.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from workloads.librispeech.frontend import LogMel, apply_masks
from workloads.librispeech.lengths import (
    HOP,
    WINDOW,
    encoded,
    frames,
    sufficient_frames,
    valid_frames,
)
from workloads.librispeech.logmel_stats import MEANS
from workloads.librispeech.packing import Packing, longest_first
from workloads.librispeech.subsampler import Subsampler


class SpeechModel(nn.Module):
    """Subclass with `encode`.

    Args:
        vocab_size: classes of the logits.
        width: C.
        dropout_rate: by default, of every dropout.
        tanh: in the subsampling, in place of the rectifier.
        rows_at_once: utterances that go through front-end and subsampling together; it bounds
            memory, and padding, since they are of like lengths.  No figure depends on it.
    """

    def __init__(
        self,
        vocab_size: int,
        width: int,
        dropout_rate: float,
        tanh: bool,
        rows_at_once: int,
    ) -> None:
        super().__init__()
        self.rows_at_once = rows_at_once
        self.features = LogMel()
        self.subsample = Subsampler(len(MEANS), width, tanh)
        self.dropout = nn.Dropout(dropout_rate)
        self.lin = nn.Linear(width, vocab_size)

    def encode(self, x: Tensor, packing: Packing) -> Tensor:
        """Packed frames [S, C] -> [S, C], ready for the output layer."""
        raise NotImplementedError

    def forward(
        self,
        inputs: Tensor,
        input_lengths: Tensor,
        time_masks: Tensor | None = None,
        frequency_masks: Tensor | None = None,
    ) -> Tensor:
        """Logits [B, T, vocab_size]; zeros behind the valid frames of an utterance.

        Args:
            inputs: [B, W] samples.
            input_lengths: [B] valid samples.
            time_masks, frequency_masks: [B, M, 2] of SpecAugment; used in training mode alone.
        """
        tensors = [inputs, input_lengths]
        if self.training and time_masks is not None and frequency_masks is not None:
            tensors += [time_masks, frequency_masks]
        total = frames(inputs.shape[1])
        valid = [min(total, valid_frames(length)) for length in input_lengths.tolist()]
        order = longest_first(valid)
        lengths = [encoded(valid[row]) for row in order]
        packing = Packing(lengths, order, inputs.device)
        starts = range(0, packing.filled, self.rows_at_once)
        groups = [order[start : start + self.rows_at_once] for start in starts]
        parts = [self._hear(tensors, rows, valid, total) for rows in groups]
        logits = self.lin(self.encode(torch.cat(parts), packing))
        return packing.pad(logits, encoded(total))

    def _hear(
        self, tensors: Sequence[Tensor], rows: list[int], valid: list[int], total: int
    ) -> Tensor:
        """Packed frames of some rows, longest first, after the subsampling."""
        device = tensors[0].device
        count = sufficient_frames(valid[rows[0]], total)
        places = torch.tensor(rows, device=device)
        inputs, lengths, *masks = (tensor[places] for tensor in tensors)
        features = self.features(inputs[:, : WINDOW + HOP * (count - 1)], lengths)
        if masks:
            features = apply_masks(features, *masks)
        x = self.subsample(features, torch.tensor([valid[row] for row in rows], device=device))
        kept = [encoded(valid[row]) for row in rows]
        return Packing(kept, range(len(rows)), device).unpad(x)


@torch.no_grad()
def reset_maps(model: nn.Module, generator: torch.Generator) -> None:
    """Xavier-uniform weights of linear maps and convolutions, biases 0 (Glorot and Bengio 2010)."""
    for module in model.modules():
        if isinstance(module, (nn.Linear, nn.Conv1d, nn.Conv2d)):
            nn.init.xavier_uniform_(module.weight, generator=generator)
            if module.bias is not None:
                module.bias.zero_()
