"""DLRM-small: a table of category vectors, their products with one another, two MLPs.

Shapes: B batch, F = 27 vectors (the bottom MLP's output and 26 embeddings), D width of a vector.
Source: Naumov et al. 2019, "Deep Learning Recommendation Model for Personalization and
Recommendation Systems" (https://arxiv.org/abs/1906.00091); sizes, initialisation and the variants
are those of AlgoPerf (https://arxiv.org/abs/2306.07179).
"""

import math
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from algoperf_pt.errors import ConfigError
from algoperf_pt.roles import ParamType
from workloads.criteo1tb.interaction import Interaction

DENSE, SPARSE = 13, 26  # integer and category features of an example
_EPS = 1e-6  # of the layer norms


class DLRM(nn.Module):
    """Logits of a click; 539,267,457 parameters at the benchmark's sizes.

    Args:
        vocab_size: rows of the table, which all categories share.
        embed_dim: D.
        mlp_bottom_dims: widths of the MLP on the integers; the last one is D (any without
            interaction).
        mlp_top_dims: widths of the MLP on products; the last one is 1.
        use_layer_norm: a layer norm behind each ReLU and on each embedding.
        use_resnet: residual layers, and the vectors themselves in place of their products.
        embedding_init_multiplier: the table starts uniform on (0, this); null: 1 / sqrt(rows).
        dropout_rate: before the output layer.

    Raises:
        ConfigError: layer norm in the residual variant, which has none.
    """

    def __init__(
        self,
        vocab_size: int,
        embed_dim: int,
        mlp_bottom_dims: list[int],
        mlp_top_dims: list[int],
        use_layer_norm: bool = False,
        use_resnet: bool = False,
        embedding_init_multiplier: float | None = None,
        dropout_rate: float = 0.0,
    ) -> None:
        super().__init__()
        if use_resnet and use_layer_norm:
            raise ConfigError(
                "workload.model: use_resnet and use_layer_norm are both true",
                expected="one of them: the residual variant has no layer norm",
            )
        bottom, top = list(mlp_bottom_dims), list(mlp_top_dims)
        self.init_scale = embedding_init_multiplier or 1.0 / math.sqrt(vocab_size)
        self.table = Table(vocab_size, embed_dim)
        self.embed_ln = nn.LayerNorm(embed_dim, _EPS) if use_layer_norm else None
        self.interaction = None if use_resnet else Interaction(1 + SPARSE)
        mixed = SPARSE * embed_dim if use_resnet else Interaction.width(1 + SPARSE)
        options: dict[str, Any] = {"residual": use_resnet, "norm": use_layer_norm}
        self.bot_mlp = nn.Sequential(*layers([DENSE, *bottom], **options))
        hidden = layers([bottom[-1] + mixed, *top[:-1]], dropout=dropout_rate, **options)
        self.top_mlp = nn.Sequential(*hidden)
        self.output = Linear(top[-2], top[-1])

    def forward(self, inputs: Tensor) -> Tensor:
        """[B, 39] float32, 13 numbers and 26 buckets -> logits [B, 1]."""
        dense = self.bot_mlp(inputs[:, :DENSE])  # [B, D]
        vectors = self.table(inputs[:, DENSE:])  # [B, 26, D]
        if self.embed_ln is not None:
            vectors = self.embed_ln(vectors)
        if self.interaction is None:
            mixed = vectors.flatten(1)  # [B, 26 D]
        else:
            mixed = self.interaction(dense, vectors)  # [B, F (F + 1) / 2]
        logits: Tensor = self.output(self.top_mlp(torch.cat([dense, mixed], dim=1)))
        return logits

    @torch.no_grad()
    def reset_parameters(self, generator: torch.Generator) -> None:
        """Table uniform on (0, scale), not centred; bottom weights uniform with Glorot's bound, top
        weights normal with his variance; biases normal with variance 1 / outputs.
        """
        self.table.weight.uniform_(0.0, self.init_scale, generator=generator)
        for part, normal in ((self.bot_mlp, False), (self.top_mlp, True), (self.output, True)):
            for linear in (m for m in part.modules() if isinstance(m, nn.Linear)):
                outputs, inputs = linear.weight.shape
                std = math.sqrt(2.0 / (inputs + outputs))
                bound = math.sqrt(3.0) * std
                if normal:
                    linear.weight.normal_(0.0, std, generator=generator)
                else:
                    linear.weight.uniform_(-bound, bound, generator=generator)
                linear.bias.normal_(0.0, 1.0 / math.sqrt(outputs), generator=generator)
        for norm in (m for m in self.modules() if isinstance(m, nn.LayerNorm)):
            norm.reset_parameters()  # scale 1, bias 0


class Table(nn.Module):
    """Rows for buckets of all categories; the gradient is dense.

    Args:
        rows, width: of the table.
    """

    param_roles = {"weight": ParamType.EMBEDDING}

    def __init__(self, rows: int, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(rows, width))

    def forward(self, buckets: Tensor) -> Tensor:
        """[B, 26] float32 -> [B, 26, D]; the row is the bucket modulo the rows of the table."""
        return F.embedding(buckets.to(torch.int32) % len(self.weight), self.weight)


class Linear(nn.Linear):
    """Without a first initialisation of its own, which `reset_parameters` of the model replaces."""

    def reset_parameters(self) -> None:
        """Leave the memory as it is."""


class Residual(nn.Module):
    """x + branch(x)."""

    def __init__(self, *branch: nn.Module) -> None:
        super().__init__()
        self.branch = nn.Sequential(*branch)

    def forward(self, x: Tensor) -> Tensor:
        """[B, width] -> [B, width]."""
        return x + self.branch(x)


def layers(
    widths: list[int], residual: bool, norm: bool, dropout: float | None = None
) -> Iterator[nn.Module]:
    """Linear layers with ReLU.

    Args:
        widths: of the input and of each layer's output.
        residual: each but the first is added to its input.
        norm: a layer norm behind each ReLU.
        dropout: rate behind the last of them, within its branch; None: no such layer.
    """
    for number, (inputs, outputs) in enumerate(pairwise(widths)):
        layer: list[nn.Module] = [Linear(inputs, outputs), nn.ReLU(inplace=True)]
        if norm:
            layer.append(nn.LayerNorm(outputs, _EPS))
        if dropout is not None and number == len(widths) - 2:
            layer.append(nn.Dropout(dropout))
        if residual and number:
            yield Residual(*layer)
        else:
            yield from layer
