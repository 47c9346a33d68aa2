"""Which language model is trained?  A causal transformer with rotary positions, QK-norm and gated
feed-forward, its output tied to the embedding.

Shapes: B batch, L positions, D width, H heads, E width of a head (D / H), F hidden, V vocabulary.
Sources: Vaswani et al. 2017 (https://arxiv.org/abs/1706.03762); RoPE, Su et al. 2021
(https://arxiv.org/abs/2104.09864); QK-norm with a learned scale, Henry et al. 2020
(https://arxiv.org/abs/2010.04245); gated units, Dauphin et al. 2016
(https://arxiv.org/abs/1612.08083).  Their combination and the odd details are those of AlgoPerf
1.0's finewebedu_lm.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import glu, linear, scaled_dot_product_attention

from algoperf_pt.roles import ParamType

_STD = 0.02  # of the initial weights
_NORM_EPS = 1e-6
_QK_EPS = 1e-6


class LanguageModel(nn.Module):
    """Ids in, logits of the next ids out; 252,815,372 parameters at the real sizes.

    Args:
        vocabulary: V ids.
        width: D.
        heads: H.
        layers: blocks.
        hidden: F, of the feed-forward part after its gate.
        context: longest L.
        theta: base of the rotary frequencies.
    """

    def __init__(
        self,
        vocabulary: int,
        width: int,
        heads: int,
        layers: int,
        hidden: int,
        context: int,
        theta: float,
    ) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(
            vocabulary, width, _weight=torch.empty(vocabulary, width)  # drawn later
        )
        scale = math.log2(context**2 - context)
        self.layers = nn.ModuleList([Block(width, heads, hidden, scale) for _ in range(layers)])
        self.out_norm = nn.RMSNorm(width, eps=_NORM_EPS)
        cos, sin = rotation_table(context, width // heads, theta)
        self.register_buffer("cos", cos, persistent=False)  # [context, E / 2]
        self.register_buffer("sin", sin, persistent=False)

    def forward(self, ids: Tensor) -> Tensor:
        """[B, L] int64 -> logits [B, L, V] float32."""
        length = ids.shape[1]
        cos, sin = self.cos[:length, None], self.sin[:length, None]  # [L, 1, E / 2]
        x = self.embed_tokens(ids)  # [B, L, D]
        for layer in self.layers:
            x = layer(x, cos, sin)
        return linear(self.out_norm(x), self.embed_tokens.weight)  # [B, L, V]

    @torch.no_grad()
    def reset_parameters(self, generator: torch.Generator) -> None:
        """Matrices and embedding N(0, 0.02), those that write into the residual stream smaller by
        the root of their number; gains 1; attention scales as the context says.
        """
        self.embed_tokens.weight.normal_(0.0, _STD, generator=generator)
        for layer in self.layers:
            layer.reset_parameters(generator, _STD / math.sqrt(2 * len(self.layers)))
        self.out_norm.reset_parameters()


class Block(nn.Module):
    """x + attention(norm(x)), then x + feed-forward(norm(x)).

    Args:
        width, heads, hidden: D, H, F.
        scale: initial value of the attention's scale.
    """

    def __init__(self, width: int, heads: int, hidden: int, scale: float) -> None:
        super().__init__()
        self.attn = Attention(width, heads, scale)
        self.attn_norm = nn.RMSNorm(width, eps=_NORM_EPS)
        self.mlp = FeedForward(width, hidden)
        self.mlp_norm = nn.RMSNorm(width, eps=_NORM_EPS)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """[B, L, D] -> [B, L, D]; `cos` and `sin` are [L, 1, E / 2]."""
        x = x + self.attn(self.attn_norm(x), cos, sin)
        return x + self.mlp(self.mlp_norm(x))

    def reset_parameters(self, generator: torch.Generator, residual: float) -> None:
        """`residual`: standard deviation of the two matrices whose outputs are added to x."""
        self.attn.attn_scale.fill_(self.attn.initial_scale)
        self.attn.w_qkv.weight.normal_(0.0, _STD, generator=generator)
        self.attn.w_out.weight.normal_(0.0, residual, generator=generator)
        self.mlp.fc1.weight.normal_(0.0, _STD, generator=generator)
        self.mlp.fc2.weight.normal_(0.0, residual, generator=generator)
        self.attn_norm.reset_parameters()
        self.mlp_norm.reset_parameters()


class Attention(nn.Module):
    """Causal attention of unit queries and keys; one learned scale stands in for 1 / sqrt(E)."""

    param_roles = {"attn_scale": ParamType.WEIGHT}

    def __init__(self, width: int, heads: int, scale: float) -> None:
        super().__init__()
        self.heads, self.initial_scale = heads, scale
        self.attn_scale = nn.Parameter(torch.tensor(scale, dtype=torch.float32))
        self.w_qkv = Projection(width, 3 * width, ParamType.ATTENTION_QKV)
        self.w_out = Projection(width, width, ParamType.ATTENTION_OUT)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """[B, L, D] -> [B, L, D]."""
        batch, length, _ = x.shape
        q, k, v = self.w_qkv(x).view(batch, length, 3, self.heads, -1).unbind(2)  # [B, L, H, E]
        q = unit(rotate(q, cos, sin)) * self.attn_scale
        k = unit(rotate(k, cos, sin))
        q, k, v = (t.transpose(1, 2) for t in (q, k, v))  # [B, H, L, E]
        mixed = scaled_dot_product_attention(q, k, v, is_causal=True, scale=1.0)
        out: Tensor = self.w_out(mixed.transpose(1, 2).flatten(2))
        return out


class FeedForward(nn.Module):
    """fc2(a * sigmoid(b)), where a and b are the halves of fc1(x)."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = Projection(width, 2 * hidden, ParamType.WEIGHT)
        self.fc2 = Projection(hidden, width, ParamType.WEIGHT)

    def forward(self, x: Tensor) -> Tensor:
        """[B, L, D] -> [B, L, D]."""
        out: Tensor = self.fc2(glu(self.fc1(x), dim=-1))
        return out


class Projection(nn.Module):
    """A matrix without bias, uninitialised, with the role that it has where it stands."""

    def __init__(self, inputs: int, outputs: int, role: ParamType) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, inputs))
        self.param_roles = {"weight": role}

    def forward(self, x: Tensor) -> Tensor:
        """[..., inputs] -> [..., outputs]."""
        return linear(x, self.weight)


def rotation_table(context: int, width: int, theta: float) -> tuple[Tensor, Tensor]:
    """(cos, sin) float32 [context, width / 2] of position * theta^(-2j / width), in float32."""
    powers = torch.arange(0, width, 2, dtype=torch.float32) / width
    frequencies = 1.0 / theta**powers
    angles = torch.outer(torch.arange(context, dtype=torch.float32), frequencies)
    return torch.cos(angles), torch.sin(angles)


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn each pair of adjacent components (2j, 2j + 1) of [B, L, H, E] by its position's angle.

    Source: Su et al. 2021, section 3.4.2.
    """
    a, b = x.unflatten(-1, (-1, 2)).unbind(-1)  # [B, L, H, E / 2]
    return torch.stack((a * cos - b * sin, b * cos + a * sin), -1).flatten(-2)


def unit(x: Tensor) -> Tensor:
    """x / |x| + 1e-6 along the last axis; the epsilon stands outside, as in the reference."""
    return x / torch.linalg.vector_norm(x, dim=-1, keepdim=True) + _QK_EPS
