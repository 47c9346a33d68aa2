"""The Conformer: attention and convolution over an utterance, block after block.

Shapes: S valid frames of all utterances together (packing.py), C width.  Source: Gulati et al.
2020 (https://arxiv.org/abs/2005.08100); sizes and initialisation are AlgoPerf's.
"""

import torch
from torch import Tensor, nn

from workloads.librispeech.blocks import Block, QueryScale, Sizes, position_code
from workloads.librispeech.masked_norm import LayerNorm, MaskedBatchNorm
from workloads.librispeech.packing import Packing
from workloads.librispeech.speech import SpeechModel, reset_maps


class Conformer(SpeechModel):
    """32,321,792 parameters at the default sizes.

    Args:
        vocab_size: classes of the logits.
        width: C.
        blocks: their number.
        heads: of attention.
        hidden: inner width of the feed-forward parts.
        taps: of the convolutions over time.
        post_layer_norm, use_gelu, attention_temperature: of `blocks.Sizes`.
        dropout_rate, rows_at_once: of `SpeechModel`.
    """

    def __init__(
        self,
        vocab_size: int = 1024,
        width: int = 512,
        blocks: int = 4,
        heads: int = 8,
        hidden: int = 2048,
        taps: int = 5,
        post_layer_norm: bool = True,
        use_gelu: bool = False,
        attention_temperature: float = 1.0,
        dropout_rate: float = 0.1,
        rows_at_once: int = 16,
    ) -> None:
        super().__init__(vocab_size, width, dropout_rate, False, rows_at_once)
        switches = (post_layer_norm, use_gelu, attention_temperature, dropout_rate)
        sizes = Sizes(width, heads, hidden, taps, *switches)
        self.conformers = nn.ModuleList(Block(sizes) for _ in range(blocks))
        self.ln = LayerNorm(width)

    def encode(self, x: Tensor, packing: Packing) -> Tensor:
        """[S, C] -> [S, C]."""
        code = position_code(packing.longest, x.shape[1], x.device)
        x = self.dropout(x + code[packing.times])
        keys = packing.key_mask()
        for block in self.conformers:
            x = block(x, packing, keys)
        normalised: Tensor = self.ln(x)
        return normalised

    @torch.no_grad()
    def reset_parameters(self, generator: torch.Generator) -> None:
        """Xavier-uniform weights, the three attention maps as one matrix; biases and what is added
        to 1 in scales are 0.
        """
        reset_maps(self, generator)
        for module in self.modules():
            if isinstance(module, (LayerNorm, MaskedBatchNorm, QueryScale)):
                module.reset_parameters()
