"""What is a Conformer made of?  Feed-forward parts, attention over the utterance, a convolution
over a few frames, and a block of them.

Shapes: B utterances, T frames, S valid frames of all utterances together (packing.py), C width, H
heads, d width of a head (C / H), M inner width.  Source: Gulati et al. 2020, "Conformer"
(https://arxiv.org/abs/2005.08100), in AlgoPerf's form.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, scaled_dot_product_attention, silu, softplus

from algoperf_pt.roles import ParamType
from workloads.librispeech.masked_norm import LayerNorm, MaskedBatchNorm
from workloads.librispeech.packing import Packing

_UNIT = 1.442695041  # 1 / ln 2: the factor of queries is 1 at the start


@dataclass(frozen=True)
class Sizes:
    """Of a block.

    Args:
        width, heads, hidden: C, H and M.
        taps: of the convolution over time, an odd number.
        post_layer_norm: a norm at the end of the block.
        use_gelu: in place of SiLU; its approximation by tanh in feed-forward parts.
        attention_temperature: factor of what attention gives, before its output layer.
        dropout_rate: by default, at the end of each part.
    """

    width: int
    heads: int
    hidden: int
    taps: int
    post_layer_norm: bool
    use_gelu: bool
    attention_temperature: float
    dropout_rate: float


class FeedForward(nn.Module):
    """Norm, out to M, activation, back to C.

    Args:
        sizes: of the block.
    """

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.ln = LayerNorm(sizes.width)
        self.linear1 = nn.Linear(sizes.width, sizes.hidden)
        self.linear2 = nn.Linear(sizes.hidden, sizes.width)
        self.dropout = nn.Dropout(sizes.dropout_rate)
        self.use_gelu = sizes.use_gelu

    def forward(self, x: Tensor) -> Tensor:
        """[S, C] -> the same."""
        inner = self.linear1(self.ln(x))  # [S, M]
        inner = gelu(inner, approximate="tanh") if self.use_gelu else silu(inner)
        made: Tensor = self.dropout(self.linear2(inner))
        return made


class Projection(nn.Linear):
    """A linear map whose weight has a role of its own.

    Args:
        inputs, outputs: widths.
        weight, bias: roles.
    """

    def __init__(self, inputs: int, outputs: int, weight: ParamType, bias: ParamType) -> None:
        super().__init__(inputs, outputs)
        self.param_roles = {"weight": weight, "bias": bias}


class QueryScale(nn.Module):
    """A learned positive factor of each dimension of the queries, the same for all heads.

    Args:
        width: d.
    """

    param_roles = {"scale": ParamType.WEIGHT}

    def __init__(self, width: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.zeros(width))

    def reset_parameters(self) -> None:
        """To factors of 1."""
        nn.init.zeros_(self.scale)

    def forward(self, queries: Tensor) -> Tensor:
        """[..., d] -> the same."""
        return queries * (_UNIT * softplus(self.scale))


class SelfAttention(nn.Module):
    """softmax(q k^T / sqrt(d)) v over the valid frames of an utterance, times a constant.

    Args:
        sizes: of the block.
    """

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        width, roles = sizes.width, ParamType
        self.heads, self.temperature = sizes.heads, sizes.attention_temperature
        self.in_proj = Projection(width, 3 * width, roles.ATTENTION_QKV, roles.ATTENTION_BIAS)
        self.out_proj = Projection(width, width, roles.ATTENTION_OUT, roles.ATTENTION_BIAS)
        self.qs = QueryScale(width // sizes.heads)

    def forward(self, x: Tensor, packing: Packing, keys: Tensor | None) -> Tensor:
        """[S, C] -> the same.

        Args:
            x: packed frames.
            packing: of the batch.
            keys: its `key_mask`.
        """
        padded = packing.pad(self.in_proj(x))  # [B, T, 3 C]
        split = padded.view(*padded.shape[:2], 3, self.heads, -1)
        q, k, v = split.permute(2, 0, 3, 1, 4)  # [B, H, T, d]
        mixed = scaled_dot_product_attention(self.qs(q), k, v, attn_mask=keys)
        mixed = packing.unpad(mixed.transpose(1, 2).flatten(2))
        made: Tensor = self.out_proj(mixed * self.temperature if self.temperature != 1.0 else mixed)
        return made


class Attention(nn.Module):
    """Norm, attention, dropout.

    Args:
        sizes: of the block.
    """

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.ln = LayerNorm(sizes.width)
        self.self_attention = SelfAttention(sizes)
        self.dropout = nn.Dropout(sizes.dropout_rate)

    def forward(self, x: Tensor, packing: Packing, keys: Tensor | None) -> Tensor:
        """[S, C] -> the same."""
        made: Tensor = self.dropout(self.self_attention(self.ln(x), packing, keys))
        return made


class Convolution(nn.Module):
    """Norm, a gated linear unit, a convolution of each channel over time, batch norm, activation, a
    linear map, dropout.

    Args:
        sizes: of the block.
    """

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        width, roles = sizes.width, (ParamType.CONV_WEIGHT, ParamType.BIAS)
        self.ln = LayerNorm(width)
        self.lin1 = Projection(width, width, *roles)
        self.lin2 = Projection(width, width, *roles)
        self.conv1 = nn.Conv1d(
            width, width, sizes.taps, padding=sizes.taps // 2, groups=width, bias=False
        )
        self.bn = MaskedBatchNorm(width)
        self.lin3 = Projection(width, width, *roles)
        self.dropout = nn.Dropout(sizes.dropout_rate)
        self.use_gelu = sizes.use_gelu

    def forward(self, x: Tensor, packing: Packing) -> Tensor:
        """[S, C] -> the same."""
        x = self.ln(x)
        x = packing.pad(self.lin1(x) * torch.sigmoid(self.lin2(x)))  # [B, T, C]
        x = packing.unpad(self.conv1(x.transpose(1, 2)).transpose(1, 2))
        x = self.bn(x)
        made: Tensor = self.dropout(self.lin3(gelu(x) if self.use_gelu else silu(x)))
        return made


class Block(nn.Module):
    """x + half a feed-forward part, + attention, + convolution, + half a feed-forward part; norm.

    Args:
        sizes: of the block.
    """

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.ff1 = FeedForward(sizes)
        self.mhsa = Attention(sizes)
        self.conv = Convolution(sizes)
        self.ff2 = FeedForward(sizes)
        self.ln = LayerNorm(sizes.width) if sizes.post_layer_norm else None

    def forward(self, x: Tensor, packing: Packing, keys: Tensor | None) -> Tensor:
        """[S, C] -> the same.

        Args:
            x: packed frames.
            packing: of the batch.
            keys: its `key_mask`.
        """
        x = torch.add(x, self.ff1(x), alpha=0.5)
        x = x + self.mhsa(x, packing, keys)
        x = x + self.conv(x, packing)
        x = torch.add(x, self.ff2(x), alpha=0.5)
        return x if self.ln is None else self.ln(x)


def position_code(length: int, width: int, device: torch.device) -> Tensor:
    """float32 [length, width]: sines, then cosines, of the position over waves of falling speed."""
    half = width // 2
    slowdown = math.log(10_000.0) / max(half - 1, 1)
    speeds = torch.exp(torch.arange(half, dtype=torch.float32, device=device) * -slowdown)
    angles = torch.arange(length, dtype=torch.float32, device=device)[:, None] * speeds
    return torch.cat([angles.sin(), angles.cos()], 1)
