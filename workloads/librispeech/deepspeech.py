"""DeepSpeech: recurrent layers that read an utterance both ways, then feed-forward layers.

Shapes: S valid frames of all utterances together, time by time (packing.py), C width.  Source:
Amodei et al. 2016, "Deep Speech 2" (https://arxiv.org/abs/1512.02595); sizes and initialisation
are AlgoPerf's.
"""

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from algoperf_pt.roles import ParamType
from workloads.librispeech.masked_norm import LayerNorm, MaskedBatchNorm
from workloads.librispeech.packing import ByTime, Packing
from workloads.librispeech.speech import SpeechModel, reset_maps


class DeepSpeech(SpeechModel):
    """18,393,600 parameters at the default sizes.

    Args:
        vocab_size: classes of the logits.
        width: C, an even number.
        lstm_layers, feed_forward_layers: their numbers.
        tanh: in place of the rectifier, in the subsampling too.
        residual: layers add to their input; else they replace it.
        layer_norm_everywhere: layer norms in place of batch norms.
        decoder_layer_norm: a layer norm before the output layer.
        dropout_rate, rows_at_once: of `SpeechModel`.
    """

    def __init__(
        self,
        vocab_size: int = 1024,
        width: int = 512,
        lstm_layers: int = 6,
        feed_forward_layers: int = 3,
        tanh: bool = False,
        residual: bool = True,
        layer_norm_everywhere: bool = False,
        decoder_layer_norm: bool = True,
        dropout_rate: float = 0.1,
        rows_at_once: int = 16,
    ) -> None:
        super().__init__(vocab_size, width, dropout_rate, tanh, rows_at_once)
        norm = LayerNorm if layer_norm_everywhere else MaskedBatchNorm
        self.lstms = nn.ModuleList(Recurrent(width, norm(width)) for _ in range(lstm_layers))
        layers = (
            FeedForward(width, norm(width), tanh, dropout_rate) for _ in range(feed_forward_layers)
        )
        self.ffns = nn.ModuleList(layers)
        self.ln = LayerNorm(width) if decoder_layer_norm else None
        self.residual = residual

    def encode(self, x: Tensor, packing: Packing) -> Tensor:
        """[S, C] -> [S, C]."""
        by_time = ByTime(packing)
        x = by_time.order(self.dropout(x))
        sizes = torch.tensor(by_time.sizes)
        for lstm in self.lstms:
            x = self._added(x, lstm(x, sizes))
        for layer in self.ffns:
            x = self._added(x, layer(x))
        return by_time.undo(x if self.ln is None else self.ln(x))

    def _added(self, x: Tensor, made: Tensor) -> Tensor:
        return x + made if self.residual else made

    @torch.no_grad()
    def reset_parameters(self, generator: torch.Generator) -> None:
        """Xavier-uniform weights of linear maps and convolutions, biases and what is added to 1 in
        scales 0; all of a recurrent layer uniform within 1 / sqrt(its width), as PyTorch has it.
        """
        reset_maps(self, generator)
        for module in self.modules():
            if isinstance(module, nn.LSTM):
                bound = module.hidden_size**-0.5
                for parameter in module.parameters():
                    nn.init.uniform_(parameter, -bound, bound, generator=generator)
            elif isinstance(module, (LayerNorm, MaskedBatchNorm)):
                module.reset_parameters()


class Recurrent(nn.Module):
    """A norm, then an LSTM in each direction, of half the width.

    Args:
        width: C.
        norm: of its input.
    """

    def __init__(self, width: int, norm: nn.Module) -> None:
        super().__init__()
        self.norm = norm
        self.lstm = Lstm(width, width // 2, bidirectional=True)

    def forward(self, x: Tensor, sizes: Tensor) -> Tensor:
        """[S, C] -> the same.

        Args:
            x: frames, time by time.
            sizes: utterances that have a frame at each time, int64 on the CPU.
        """
        read: Tensor = self.lstm(PackedSequence(self.norm(x), sizes))[0].data
        return read


class Lstm(nn.LSTM):
    """With roles; one layer.

    Args:
        arguments: of `nn.LSTM`.
    """

    def __init__(self, *arguments: int, bidirectional: bool) -> None:
        super().__init__(*arguments, bidirectional=bidirectional)
        names = self._flat_weights_names
        self.param_roles = {name: ParamType[name.split("_")[0].upper()] for name in names}


class FeedForward(nn.Module):
    """A norm, a linear map, an activation, dropout.

    Args:
        width: C.
        norm: of its input.
        tanh: in place of the rectifier.
        dropout_rate: by default.
    """

    def __init__(self, width: int, norm: nn.Module, tanh: bool, dropout_rate: float) -> None:
        super().__init__()
        self.norm = norm
        self.lin = nn.Linear(width, width)
        self.dropout = nn.Dropout(dropout_rate)
        self.tanh = tanh

    def forward(self, x: Tensor) -> Tensor:
        """[S, C] -> the same."""
        x = self.lin(self.norm(x))
        made: Tensor = self.dropout(torch.tanh(x) if self.tanh else torch.relu(x))
        return made
