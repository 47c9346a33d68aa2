"""The translation Transformer: encoder, decoder, one table for source, target and output.

Shapes: B batch, S source length, T target length, D width, V vocabulary.
Source: Vaswani et al. 2017 (https://arxiv.org/abs/1706.03762); pre-norm, tied tables, the fixed
position code in two halves and the initialisation are those of AlgoPerf's wmt workload.
"""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding, linear

from algoperf_pt.roles import ParamType
from workloads.wmt.layers import CrossAttention, FeedForward, Residual, SelfAttention

_BIAS_STD = 1e-6  # of the initial biases of linear layers
_LONGEST_PERIOD = 10_000.0  # of the position code, in units of 2 pi positions


@dataclass(frozen=True)
class Sizes:
    """What distinguishes the variants; the defaults are those of the base workload."""

    vocab_size: int = 32_000
    max_length: int = 256  # positions that have a code
    width: int = 1024
    heads: int = 16
    hidden: int = 1024  # inner width of the feed-forward part
    layers: int = 6  # of the encoder, and of the decoder
    pre_norm: bool = True
    attention_temperature: float = 1.0
    activation: str = "relu"
    glu: bool = False
    eps: float = 1e-6  # of every LayerNorm
    dropout_rate: float = 0.1  # one rate for every place


class Transformer(nn.Module):
    """133,521,408 parameters at the default sizes.

    Args:
        sizes: keyword arguments of `Sizes`.
    """

    def __init__(self, **sizes: Any) -> None:
        super().__init__()
        self.sizes = Sizes(**sizes)
        self.embedding = Table(self.sizes.vocab_size, self.sizes.width)
        self.encoder = Stack(EncoderLayer, self.sizes)
        self.decoder = Stack(DecoderLayer, self.sizes)
        self.dropout = nn.Dropout(self.sizes.dropout_rate)
        code = position_code(self.sizes.max_length, self.sizes.width)
        self.register_buffer("positions", code, persistent=False)

    def forward(
        self,
        inputs: Tensor,
        targets: Tensor,
        inputs_position: Tensor | None = None,
        targets_position: Tensor | None = None,
        inputs_segmentation: Tensor | None = None,
        targets_segmentation: Tensor | None = None,
    ) -> Tensor:
        """Logits [B, T, V] of each target token given those before it; tokens int64, 0 is padding.

        Positions and segments of packed rows are [B, S] and [B, T]; None: one sentence a row.
        """
        source = segments(inputs, inputs_segmentation)
        target = segments(targets, targets_segmentation)
        memory = self.encode(inputs, inputs_position, source)
        causal = torch.ones(2 * targets.shape[1:], dtype=torch.bool, device=targets.device).tril()
        self_mask, cross_mask = allowed(target, target) & causal, allowed(target, source)
        x = self.embed(shift_right(targets), targets_position)
        for layer in self.decoder.layers:
            x = layer(x, memory, self_mask, cross_mask)
        return self.logits(self.decoder.norm(x))

    def encode(
        self, inputs: Tensor, positions: Tensor | None = None, source: Tensor | None = None
    ) -> Tensor:
        """[B, S] tokens -> [B, S, D]; `source`: segments (None: one sentence a row)."""
        source = segments(inputs, None) if source is None else source
        mask = allowed(source, source)
        x = self.embed(inputs, positions)
        for layer in self.encoder.layers:
            x = layer(x, mask)
        encoded: Tensor = self.encoder.norm(x)
        return encoded

    def embed(self, tokens: Tensor, positions: Tensor | None) -> Tensor:
        """[B, T] -> [B, T, D]: table plus position code, dropped out."""
        table = self.positions
        code = table[: tokens.shape[1]] if positions is None else embedding(positions, table)
        x: Tensor = self.dropout(embedding(tokens, self.embedding.weight) + code)
        return x

    def logits(self, x: Tensor) -> Tensor:
        """[..., D] -> [..., V] by the same table."""
        return linear(x * (1.0 / math.sqrt(x.shape[-1])), self.embedding.weight)

    @torch.no_grad()
    def reset_parameters(self, generator: torch.Generator) -> None:
        """Table N(0, 1); matrices Xavier uniform on their own shapes; biases N(0, 1e-6)."""
        self.embedding.weight.normal_(generator=generator)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight, generator=generator)
                if module.bias is not None:
                    module.bias.normal_(0.0, _BIAS_STD, generator=generator)
            elif isinstance(module, nn.LayerNorm):
                module.reset_parameters()  # scale 1, bias 0


class Table(nn.Module):
    """The shared embedding [V, D]."""

    param_roles = {"weight": ParamType.EMBEDDING}

    def __init__(self, vocab_size: int, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(vocab_size, width))


class Stack(nn.Module):
    """Layers, and a norm behind the last one if each has its norm in front."""

    def __init__(self, layer: "type[EncoderLayer | DecoderLayer]", sizes: Sizes) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layer(sizes) for _ in range(sizes.layers))
        self.norm = nn.LayerNorm(sizes.width, sizes.eps) if sizes.pre_norm else nn.Identity()


class EncoderLayer(nn.Module):
    """Self-attention and feed-forward part, each with its residual connection."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.self_attn = SelfAttention(*_attention(sizes))
        self.feed_forward = FeedForward(*_feed_forward(sizes))
        self.residual1, self.residual2 = (Residual(*_residual(sizes)) for _ in range(2))

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """[B, S, D] -> [B, S, D]."""
        x = self.residual1.after(x, self.self_attn(self.residual1.before(x), mask))
        return self.residual2.after(x, self.feed_forward(self.residual2.before(x)))


class DecoderLayer(nn.Module):
    """Self-attention, attention to the source, and feed-forward part."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.self_attn = SelfAttention(*_attention(sizes))
        self.cross_attn = CrossAttention(*_attention(sizes))
        self.feed_forward = FeedForward(*_feed_forward(sizes))
        residuals = (Residual(*_residual(sizes)) for _ in range(3))
        self.residual1, self.residual2, self.residual3 = residuals

    def forward(self, x: Tensor, memory: Tensor, self_mask: Tensor, cross_mask: Tensor) -> Tensor:
        """[B, T, D] and [B, S, D] -> [B, T, D]."""
        x = self.residual1.after(x, self.self_attn(self.residual1.before(x), self_mask))
        return self.rest(x, self.cross_attn.keys_and_values(memory), cross_mask)

    def rest(self, x: Tensor, keys_and_values: tuple[Tensor, ...], cross_mask: Tensor) -> Tensor:
        """What comes after the self-attention."""
        attended = self.cross_attn(self.residual2.before(x), keys_and_values, cross_mask)
        x = self.residual2.after(x, attended)
        return self.residual3.after(x, self.feed_forward(self.residual3.before(x)))


def segments(tokens: Tensor, segmentation: Tensor | None) -> Tensor:
    """[B, T] number of the sentence that a token belongs to; 0: padding (or the unknown piece)."""
    return (tokens > 0).to(torch.int32) if segmentation is None else segmentation


def allowed(queries: Tensor, keys: Tensor) -> Tensor:
    """bool [B, 1, Q, K]: tokens of one sentence see each other.

    Padding sees everything, because a query that sees nothing has no softmax; nothing sees it.
    """
    queries = queries[:, None, :, None]
    return (queries == keys[:, None, None, :]) | (queries == 0)


def shift_right(tokens: Tensor) -> Tensor:
    """[B, T]: each row one step to the right, with the start token 0 in front."""
    return nn.functional.pad(tokens[:, :-1], (1, 0))


def position_code(length: int, width: int) -> Tensor:
    """[length, width] float32: sines in the first half, cosines in the second."""
    half = width // 2
    exponents = torch.arange(half, dtype=torch.float64) / (half - 1)
    rates = torch.exp(-math.log(_LONGEST_PERIOD) * exponents)
    angles = torch.arange(length, dtype=torch.float64)[:, None] * rates
    return torch.cat([angles.sin(), angles.cos()], dim=1).float()


def _attention(sizes: Sizes) -> tuple[int, int, float, float]:
    return sizes.width, sizes.heads, sizes.attention_temperature, sizes.dropout_rate


def _feed_forward(sizes: Sizes) -> tuple[int, int, str, bool, float]:
    return sizes.width, sizes.hidden, sizes.activation, sizes.glu, sizes.dropout_rate


def _residual(sizes: Sizes) -> tuple[int, bool, float, float]:
    return sizes.width, sizes.pre_norm, sizes.eps, sizes.dropout_rate
