"""What is a vision Transformer made of?  Attention over the pieces of a picture, a feed-forward
part, a block of both, a code of places, and a pooling that attends.

Shapes: B batch, T tokens (pieces), Q queries, D width, H heads, d width of a head (D / H), M inner
width.
"""

from functools import lru_cache

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, scaled_dot_product_attention

from algoperf_pt.roles import ParamType

EPS = 1e-6  # of the layer norms
_LONGEST = 10_000.0  # ratio of the longest to the shortest wave of the code of places
_BIAS_STD = 1e-6


class Projection(nn.Linear):
    """A linear map of attention: its weight has a role of its own.

    Args:
        inputs, outputs: widths.
        role: of the weight [outputs, inputs].
    """

    def __init__(self, inputs: int, outputs: int, role: ParamType) -> None:
        super().__init__(inputs, outputs)
        self.param_roles = {"weight": role, "bias": ParamType.ATTENTION_BIAS}


class Attention(nn.Module):
    """softmax(q k^T / sqrt(d)) v, heads by contiguous split, then `out`.

    Args:
        width, heads: D and H.
        dropout: rate on the probabilities.
    """

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.dropout = nn.Dropout(dropout)  # its rate is handed on to the fused kernel
        self.out = Projection(width, width, ParamType.ATTENTION_OUT)

    def split(self, x: Tensor) -> Tensor:
        """[B, T, D] -> [B, H, T, d]."""
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def attend(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """[B, Q, D] queries on [B, T, D] keys and values -> [B, Q, D]."""
        rate = self.dropout.p if self.training else 0.0
        parts = (self.split(x) for x in (q, k, v))
        x = scaled_dot_product_attention(*parts, dropout_p=rate)  # [B, H, Q, d]
        out: Tensor = self.out(x.transpose(1, 2).flatten(2))
        return out


class SelfAttention(Attention):
    """Queries, keys and values of the same tokens."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__(width, heads, dropout)
        self.query = Projection(width, width, ParamType.ATTENTION_Q)
        self.key = Projection(width, width, ParamType.ATTENTION_K)
        self.value = Projection(width, width, ParamType.ATTENTION_V)

    def forward(self, x: Tensor) -> Tensor:
        """[B, T, D] -> [B, T, D]."""
        return self.attend(self.query(x), self.key(x), self.value(x))

    def reset_parameters(self, generator: torch.Generator) -> None:
        """Weights Xavier uniform, biases 0."""
        for layer in (self.query, self.key, self.value, self.out):
            nn.init.xavier_uniform_(layer.weight, generator=generator)
            nn.init.zeros_(layer.bias)


class FeedForward(nn.Module):
    """linear2(drop(h)) with h = gelu(linear1 x), or with a gate h * gate(h) of that h.

    Args:
        width, hidden: D and M.
        glu: whether there is a gate [M, M]; unlike elsewhere it is fed the activated values.
        dropout: rate on h.
    """

    def __init__(self, width: int, hidden: int, glu: bool, dropout: float) -> None:
        super().__init__()
        self.linear1 = nn.Linear(width, hidden)
        self.gate = nn.Linear(hidden, hidden) if glu else None
        self.linear2 = nn.Linear(hidden, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """[B, T, D] -> [B, T, D]."""
        h = gelu(self.linear1(x), approximate="tanh")  # [B, T, M]
        if self.gate is not None:
            h = h * self.gate(h)
        out: Tensor = self.linear2(self.dropout(h))
        return out

    def reset_parameters(self, generator: torch.Generator) -> None:
        """Weights Xavier uniform, biases N(0, 1e-6)."""
        for layer in (self.linear1, self.gate, self.linear2):
            if layer is not None:
                reset_with_small_bias(layer, generator)


class EncoderBlock(nn.Module):
    """x + drop(attention(norm x)), then x + drop(feed_forward(norm x)); or each norm behind its
    sum.

    Args:
        width, heads, hidden: D, H and M.
        glu: gate of the feed-forward part.
        pre_norm: where the norms stand.
        dropout: one rate: attention probabilities, branches, inside the feed-forward part.
    """

    def __init__(
        self, width: int, heads: int, hidden: int, glu: bool, pre_norm: bool, dropout: float
    ) -> None:
        super().__init__()
        self.pre_norm = pre_norm
        self.norm1 = nn.LayerNorm(width, EPS)
        self.attention = SelfAttention(width, heads, dropout)
        self.norm2 = nn.LayerNorm(width, EPS)
        self.feed_forward = FeedForward(width, hidden, glu, dropout)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """[B, T, D] -> [B, T, D]."""
        if self.pre_norm:
            x = x + self.dropout(self.attention(self.norm1(x)))
            return x + self.dropout(self.feed_forward(self.norm2(x)))
        x = self.norm1(x + self.dropout(self.attention(x)))
        normed: Tensor = self.norm2(x + self.dropout(self.feed_forward(x)))
        return normed


class ProbeAttention(Attention):
    """A learned query on all tokens; keys and values from one matrix [2 D, D], keys first."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__(width, heads, dropout)
        self.query = Projection(width, width, ParamType.ATTENTION_Q)
        self.key_value = Projection(width, 2 * width, ParamType.ATTENTION_KV)

    def forward(self, probe: Tensor, x: Tensor) -> Tensor:
        """[1, 1, D], [B, T, D] -> [B, 1, D]."""
        key, value = self.key_value(x).chunk(2, dim=-1)
        query = self.query(probe).expand(len(x), -1, -1)
        return self.attend(query, key, value)

    def reset_parameters(self, generator: torch.Generator) -> None:
        """Weights Xavier uniform (by the shape of the joint matrix), biases N(0, 1e-6)."""
        for layer in (self.query, self.key_value, self.out):
            reset_with_small_bias(layer, generator)


class AttentionPooling(nn.Module):
    """Tokens to one vector: z = attention(probe, x), then z + feed_forward(norm z).

    Source: Zhai et al. 2022, "Scaling Vision Transformers" (https://arxiv.org/abs/2106.04560),
    section 3.2.

    Args:
        width, heads, hidden: D, H and M.
        dropout: one rate: attention probabilities, inside the feed-forward part.
    """

    param_roles = {"probe": ParamType.WEIGHT}

    def __init__(self, width: int, heads: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.probe = nn.Parameter(torch.empty(1, 1, width))
        self.attention = ProbeAttention(width, heads, dropout)
        self.norm = nn.LayerNorm(width, EPS)
        self.feed_forward = FeedForward(width, hidden, glu=False, dropout=dropout)

    def forward(self, x: Tensor) -> Tensor:
        """[B, T, D] -> [B, D]."""
        z = self.attention(self.probe, x)
        z = z + self.feed_forward(self.norm(z))
        return z[:, 0]

    def reset_parameters(self, generator: torch.Generator) -> None:
        """The probe Xavier uniform, as a matrix [D, D] would be."""
        bound = (6.0 / (2 * self.probe.shape[-1])) ** 0.5
        nn.init.uniform_(self.probe, -bound, bound, generator=generator)


@torch.no_grad()
def reset_with_small_bias(layer: nn.Linear, generator: torch.Generator) -> None:
    """Weight Xavier uniform, bias N(0, 1e-6)."""
    nn.init.xavier_uniform_(layer.weight, generator=generator)
    layer.bias.normal_(0.0, _BIAS_STD, generator=generator)


def code_of_places(
    height: int, width: int, channels: int, device: torch.device, dtype: torch.dtype
) -> Tensor:
    """[1, height * width, channels]: sin and cos of the column, then sin and cos of the row, at
    channels / 4 frequencies from 1 down to 1 / 10,000; row by row.  Made once for each size.

    Args:
        channels: a multiple of 4.
    """
    # torch.compile cannot look into the cache: there it is part of the graph
    make = _code_of_places.__wrapped__ if torch.compiler.is_compiling() else _code_of_places
    made: Tensor = make(height, width, channels, device, dtype)
    return made


@lru_cache(maxsize=16)
def _code_of_places(
    height: int, width: int, channels: int, device: torch.device, dtype: torch.dtype
) -> Tensor:
    steps = torch.arange(channels // 4, dtype=torch.float64) / (channels // 4 - 1)
    rows, columns = torch.meshgrid(
        *(torch.arange(size, dtype=torch.float64) for size in (height, width)), indexing="ij"
    )
    waves = [place.reshape(-1, 1) * _LONGEST**-steps for place in (columns, rows)]  # [T, D / 4]
    code = torch.cat([part for wave in waves for part in (wave.sin(), wave.cos())], dim=1)
    return code[None].to(device, dtype)
