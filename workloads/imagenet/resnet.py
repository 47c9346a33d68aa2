"""ResNet-50 with its strides in the 3x3 convolutions ("v1.5"), four stages of bottleneck blocks.

Shapes: B batch, C channels, H and W height and width, K classes.  Source: He et al. 2016, "Deep
Residual Learning for Image Recognition" (https://arxiv.org/abs/1512.03385), sections 3.4 and 4.1;
the place of the strides is that of AlgoPerf's imagenet_resnet workload.
"""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, max_pool2d, silu

from algoperf_pt.errors import ConfigError
from workloads.image_classification.residual import Block, ResidualNetwork, conv3x3

Activation = Callable[[Tensor], Tensor]

ACTIVATIONS: dict[str, Activation] = {
    "relu": torch.relu,
    "silu": silu,
    "gelu_tanh": partial(gelu, approximate="tanh"),
}


class ResNet(ResidualNetwork):
    """Residual network of bottleneck blocks; 25,557,032 parameters at the default sizes.

    Args:
        widths: inner channels of the blocks of each stage; a block has `expansion` times as many at
            its ends.
        depths: blocks in each stage.
        expansion: see widths.
        activation: "relu", "silu" or "gelu_tanh", everywhere.
        bn_init_scale: scale of the last norm in each block at the start.
        classes: K.
    """

    def __init__(
        self,
        widths: tuple[int, ...] = (64, 128, 256, 512),
        depths: tuple[int, ...] = (3, 4, 6, 3),
        expansion: int = 4,
        activation: str = "relu",
        bn_init_scale: float = 0.0,
        classes: int = 1000,
    ) -> None:
        block = partial(Bottleneck, expansion=expansion, activation=_activation(activation))
        first = nn.Conv2d(3, widths[0], 7, stride=2, padding=3, bias=False)
        super().__init__(first, block, widths, depths, classes, last_scale=bn_init_scale)
        self.activation = _activation(activation)

    def stem(self, images: Tensor) -> Tensor:
        """[B, 3, H, W] -> [B, C, H / 4, W / 4]."""
        x = self.activation(self.bn1(self.conv1(images)))
        return max_pool2d(x, 3, stride=2, padding=1)


class Bottleneck(Block):
    """A 1x1, a 3x3 and a 1x1 convolution, the input (projected where the shape changes) added.

    Args:
        inputs: channels in.
        width: channels between the convolutions.
        stride: of the 3x3 convolution and of the projection.
        expansion: channels out over `width`.
        activation: behind each norm, the last one behind the sum.
    """

    last_norm = "bn3"

    def __init__(
        self, inputs: int, width: int, stride: int, expansion: int, activation: Activation
    ) -> None:
        super().__init__()
        self.outputs, self.activation = expansion * width, activation
        self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = conv3x3(width, width, stride)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, self.outputs, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(self.outputs)
        self.downsample = self.shortcut(inputs, stride)

    def forward(self, x: Tensor) -> Tensor:
        """[B, inputs, H, W] -> [B, expansion * width, H / stride, W / stride]."""
        identity = x if self.downsample is None else self.downsample(x)
        y = self.activation(self.bn1(self.conv1(x)))
        y = self.activation(self.bn2(self.conv2(y)))
        return self.activation(self.bn3(self.conv3(y)) + identity)


def _activation(name: str) -> Activation:
    if name not in ACTIVATIONS:
        raise ConfigError(
            f"workload.model.activation={name!r}",
            expected=f"one of {', '.join(ACTIVATIONS)}",
            where="workload.model.activation",
        )
    return ACTIVATIONS[name]
