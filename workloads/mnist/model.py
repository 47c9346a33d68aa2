"""The MNIST network: one hidden layer with a sigmoid.

Shapes: B batch, P pixels, H hidden units, C classes.
"""

import math
from collections import OrderedDict

import torch
from torch import Tensor, nn


class Mlp(nn.Module):
    """Flatten, Linear, sigmoid, Linear; 101,770 parameters at the sizes of MNIST (784, 128, 10)."""

    def __init__(self, pixels: int = 784, hidden: int = 128, classes: int = 10) -> None:
        super().__init__()
        layers = [("layer1", nn.Linear(pixels, hidden)), ("layer2", nn.Linear(hidden, classes))]
        self.net = nn.ModuleDict(OrderedDict(layers))

    def forward(self, images: Tensor) -> Tensor:
        """[B, 1, height, width] float32 -> logits [B, C]."""
        hidden = torch.sigmoid(self.net["layer1"](images.flatten(1)))  # [B, H]
        logits: Tensor = self.net["layer2"](hidden)
        return logits

    @torch.no_grad()
    def reset_parameters(self, generator: torch.Generator) -> None:
        """Weights and biases uniform in +-1/sqrt(fan_in), which is torch's default for Linear."""
        for layer in self.net.values():
            bound = 1.0 / math.sqrt(layer.in_features)
            for parameter in (layer.weight, layer.bias):
                drawn = torch.rand(parameter.shape, generator=generator)
                parameter.copy_(drawn * (2 * bound) - bound)
