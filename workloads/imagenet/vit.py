"""ViT S/16 without a class token: pieces of 16x16 pixels, a fixed code of their places, an encoder,
pooling, a hidden layer with tanh, the output layer.

Shapes: B batch, T tokens (pieces), D width, h and w pieces down and across, K classes.  Source:
Beyer et al. 2022, "Better plain ViT baselines for ImageNet-1k" (https://arxiv.org/abs/2205.01580);
Dosovitskiy et al. 2021 (https://arxiv.org/abs/2010.11929).
"""

import torch
from torch import Tensor, nn

from algoperf_pt.errors import ConfigError
from workloads.imagenet.vit_layers import (
    EPS,
    AttentionPooling,
    EncoderBlock,
    FeedForward,
    ProbeAttention,
    SelfAttention,
    code_of_places,
)
from workloads.initialisers import lecun_normal_

POOLINGS = ("mean", "map")


class ViT(nn.Module):
    """Vision Transformer; 22,122,472 parameters at the default sizes.

    Args:
        patch: side of a piece, pixels.
        width, depth, heads, hidden: D, number of blocks, heads, inner width of the feed-forward
            parts.
        glu: feed-forward parts of the blocks with a gate.
        pre_norm: norms in front, and one at the end; else each behind its sum.
        pooling: "mean" of the tokens, or "map": a learned query attends to them.
        dropout_rate: one rate, for all places where values are dropped.
        classes: K.
    """

    def __init__(
        self,
        patch: int = 16,
        width: int = 384,
        depth: int = 12,
        heads: int = 6,
        hidden: int = 1536,
        glu: bool = False,
        pre_norm: bool = True,
        pooling: str = "mean",
        dropout_rate: float = 0.0,
        classes: int = 1000,
    ) -> None:
        super().__init__()
        _check(width, heads, pooling)
        self.patches = nn.Conv2d(3, width, patch, stride=patch)
        self.dropout = nn.Dropout(dropout_rate)
        self.blocks = nn.Sequential(
            *(
                EncoderBlock(width, heads, hidden, glu, pre_norm, dropout_rate)
                for _ in range(depth)
            )
        )
        self.norm = nn.LayerNorm(width, EPS) if pre_norm else None
        self.pooling = (
            AttentionPooling(width, heads, hidden, dropout_rate) if pooling == "map" else None
        )
        self.pre_logits = nn.Linear(width, width)
        self.head = nn.Linear(width, classes)

    def forward(self, images: Tensor) -> Tensor:
        """[B, 3, H, W] float32, H and W at least `patch` -> logits [B, K]."""
        x = self.patches(images)  # [B, D, h, w]
        code = code_of_places(*x.shape[2:], x.shape[1], x.device, x.dtype)
        x = self.dropout(x.flatten(2).transpose(1, 2) + code)  # [B, T, D]
        x = self.blocks(x)
        if self.norm is not None:
            x = self.norm(x)
        x = x.mean(dim=1) if self.pooling is None else self.pooling(x)  # [B, D]
        logits: Tensor = self.head(torch.tanh(self.pre_logits(x)))
        return logits

    @torch.no_grad()
    def reset_parameters(self, generator: torch.Generator) -> None:
        """Pieces and hidden layer truncated lecun normal, blocks Xavier uniform, norms 1 and 0, the
        output layer 0.
        """
        for layer in (self.patches, self.pre_logits):
            lecun_normal_(layer.weight, generator)
            nn.init.zeros_(layer.bias)
        for module in self.modules():
            if isinstance(module, nn.LayerNorm):
                module.reset_parameters()
            elif isinstance(module, (SelfAttention, ProbeAttention, FeedForward, AttentionPooling)):
                module.reset_parameters(generator)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)


def _check(width: int, heads: int, pooling: str) -> None:
    if width % 4 or width % heads:
        raise ConfigError(
            f"workload.model.width={width} does not fit heads={heads}",
            expected="a multiple of heads, and of 4 (the code of places)",
            where="workload.model",
        )
    if pooling not in POOLINGS:
        raise ConfigError(
            f"workload.model.pooling={pooling!r}",
            expected=" or ".join(POOLINGS),
            where="workload.model.pooling",
        )
