"""ResNet-18 for 32x32 images: a 3x3 stem without pooling, then four stages of two basic blocks.

Shapes: B batch, C channels, K classes.  Source: He et al. 2016, "Deep Residual Learning for Image
Recognition" (https://arxiv.org/abs/1512.03385); the stem, the projections and the zero-initialised
last scale of each block are those of AlgoPerf's cifar workload.
"""

import torch
from torch import Tensor, nn

from workloads.image_classification.residual import Block, ResidualNetwork, conv3x3


class ResNet(ResidualNetwork):
    """Residual network; 11,173,962 parameters at the default sizes.

    Args:
        widths: channels of the stages; from the second one on a stage halves height and width.
        depth: basic blocks in each stage.
        classes: number of classes.
    """

    def __init__(
        self, widths: tuple[int, ...] = (64, 128, 256, 512), depth: int = 2, classes: int = 10
    ) -> None:
        depths = (depth,) * len(widths)
        super().__init__(conv3x3(3, widths[0]), BasicBlock, widths, depths, classes)

    def stem(self, images: Tensor) -> Tensor:
        """[B, 3, 32, 32] -> [B, C, 32, 32]."""
        return torch.relu(self.bn1(self.conv1(images)))


class BasicBlock(Block):
    """Two 3x3 convolutions and the input (projected where the shape changes) added to them.

    Args:
        inputs, width: channels in and out.
        stride: of the first convolution and of the projection.
    """

    last_norm = "bn2"

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        self.outputs = width
        self.conv1 = conv3x3(inputs, width, stride)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = conv3x3(width, width)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = self.shortcut(inputs, stride)

    def forward(self, x: Tensor) -> Tensor:
        """[B, inputs, h, w] -> [B, width, h / stride, w / stride]."""
        identity = x if self.downsample is None else self.downsample(x)
        y = torch.relu(self.bn1(self.conv1(x)))
        return torch.relu(self.bn2(self.conv2(y)) + identity)
