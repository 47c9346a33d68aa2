"""What is a block of the translation Transformer?  Attention without biases, a feed-forward part,
and their wiring.

Shapes: B batch, Q queries, K keys, D width, H heads, d width of a head (D / H).
"""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from algoperf_pt.roles import ParamType

_ACTIVATIONS = {"relu": torch.relu, "tanh": torch.tanh}


class Projection(nn.Linear):
    """A linear map without bias, whose weight has a role of its own.

    Args:
        inputs, outputs: widths.
        role: of the weight [outputs, inputs].
    """

    def __init__(self, inputs: int, outputs: int, role: ParamType) -> None:
        super().__init__(inputs, outputs, bias=False)
        self.param_roles = {"weight": role}


class Attention(nn.Module):
    """softmax(temperature q k^T / sqrt(d)) v, heads by contiguous split, then `out_proj`.

    Args:
        width, heads: D and H.
        temperature: factor on the queries.
        dropout: rate on the probabilities.
    """

    def __init__(self, width: int, heads: int, temperature: float, dropout: float) -> None:
        super().__init__()
        self.heads, self.scale = heads, temperature / math.sqrt(width // heads)
        self.dropout = nn.Dropout(dropout)  # its rate is handed on to the fused kernel
        self.out_proj = Projection(width, width, ParamType.ATTENTION_OUT)

    def split(self, x: Tensor, parts: int) -> tuple[Tensor, ...]:
        """[B, Q, parts * D] -> `parts` tensors [B, H, Q, d]."""
        batch, length, width = x.shape
        x = x.view(batch, length, parts, self.heads, width // parts // self.heads)
        return x.permute(2, 0, 3, 1, 4).unbind(0)

    def attend(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> Tensor:
        """[B, H, Q, d] queries on [B, H, K, d] -> [B, Q, D]; mask bool, true where allowed."""
        rate = self.dropout.p if self.training else 0.0
        x = scaled_dot_product_attention(q, k, v, mask, rate, scale=self.scale)
        out: Tensor = self.out_proj(x.transpose(1, 2).flatten(2))
        return out


class SelfAttention(Attention):
    """Queries, keys and values of the same sequence, from one matrix [3 D, D] (in this order)."""

    def __init__(self, width: int, heads: int, temperature: float, dropout: float) -> None:
        super().__init__(width, heads, temperature, dropout)
        self.in_proj = Projection(width, 3 * width, ParamType.ATTENTION_QKV)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """[B, Q, D] -> [B, Q, D]; mask bool [B, 1, Q, Q]."""
        return self.attend(*self.split(self.in_proj(x), 3), mask)


class CrossAttention(Attention):
    """Queries of the target on keys and values of the encoded source."""

    def __init__(self, width: int, heads: int, temperature: float, dropout: float) -> None:
        super().__init__(width, heads, temperature, dropout)
        self.q_proj = Projection(width, width, ParamType.ATTENTION_Q)
        self.kv_proj = Projection(width, 2 * width, ParamType.ATTENTION_KV)

    def keys_and_values(self, memory: Tensor) -> tuple[Tensor, ...]:
        """[B, K, D] -> keys and values [B, H, K, d]."""
        return self.split(self.kv_proj(memory), 2)

    def forward(self, x: Tensor, keys_and_values: tuple[Tensor, ...], mask: Tensor) -> Tensor:
        """[B, Q, D] -> [B, Q, D]; mask bool [B, 1, Q or 1, K]."""
        (q,) = self.split(self.q_proj(x), 1)
        return self.attend(q, *keys_and_values, mask)


class FeedForward(nn.Module):
    """linear2(drop(act(linear1 x))), or with a gate linear2(drop(act(linear1 x) * gate x)).

    Args:
        width, hidden: D and the inner width.
        activation: "relu" or "tanh".
        glu: whether there is a gate.
        dropout: rate on the inner values.
    """

    def __init__(
        self, width: int, hidden: int, activation: str, glu: bool, dropout: float
    ) -> None:
        super().__init__()
        self.activation = _ACTIVATIONS[activation]
        self.linear1 = nn.Linear(width, hidden)
        self.linear_glu = nn.Linear(width, hidden) if glu else None
        self.linear2 = nn.Linear(hidden, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """[B, Q, D] -> [B, Q, D]."""
        inner = self.activation(self.linear1(x))
        if self.linear_glu is not None:
            inner = inner * self.linear_glu(x)
        out: Tensor = self.linear2(self.dropout(inner))
        return out


class Residual(nn.Module):
    """x + drop(f(norm(x))), or norm(x + drop(f(x))) with the norm behind.

    Args:
        width: D.
        pre_norm: where the norm stands.
        eps: of the norm.
        dropout: rate on the branch.
    """

    def __init__(self, width: int, pre_norm: bool, eps: float, dropout: float) -> None:
        super().__init__()
        self.pre_norm = pre_norm
        self.norm = nn.LayerNorm(width, eps)
        self.dropout = nn.Dropout(dropout)

    def before(self, x: Tensor) -> Tensor:
        """What the branch gets."""
        return self.norm(x) if self.pre_norm else x

    def after(self, x: Tensor, branch: Tensor) -> Tensor:
        """The block's output from its input and its branch."""
        x = x + self.dropout(branch)
        return x if self.pre_norm else self.norm(x)
