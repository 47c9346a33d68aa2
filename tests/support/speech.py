"""Small speech models whose every number is drawn, and samples for them."""

import torch
from torch import nn

from workloads.librispeech.conformer import Conformer
from workloads.librispeech.deepspeech import DeepSpeech
from workloads.librispeech.lengths import padded_samples
from workloads.librispeech.masked_norm import MaskedBatchNorm

SMALL = {
    Conformer: {"vocab_size": 12, "width": 16, "blocks": 2, "heads": 2, "hidden": 24},
    DeepSpeech: {"vocab_size": 12, "width": 16, "lstm_layers": 2, "feed_forward_layers": 2},
}
LENGTHS = [9_000, 4_000, 17_200, 9_100, 1]  # samples


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def drawn(module, seed=0):
    """Every parameter and statistic drawn, so that none is 0 or 1 by chance of its start."""
    generator = seeded(seed)
    for parameter in module.parameters():
        spread = 0.3 if parameter.dim() < 2 else parameter[0].numel() ** -0.5
        nn.init.normal_(parameter, 0.0, spread, generator=generator)
    for norm in module.modules():
        if isinstance(norm, MaskedBatchNorm):
            nn.init.normal_(norm.running_mean, 0.0, 0.3, generator=generator)
            nn.init.uniform_(norm.running_var, 0.5, 2.0, generator=generator)
    return module


def network(kind=Conformer, **sizes):
    return drawn(kind(**{"dropout_rate": 0.0, **SMALL[kind], **sizes})).eval()


def sound(lengths=LENGTHS, width=None, seed=1):
    """Samples, and noise behind an utterance's end."""
    width = width or padded_samples(max(lengths))
    values = torch.randint(-9_000, 9_000, (len(lengths), width), generator=seeded(seed))
    return values.to(torch.int16), torch.tensor(lengths, dtype=torch.int32)
