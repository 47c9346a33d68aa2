"""ResNet-18 for 32x32 images: a 3x3 stem without pooling, then four stages of two basic blocks.

Shapes: B batch, C channels, K classes.  Source: He et al. 2016, "Deep Residual Learning for Image
Recognition" (https://arxiv.org/abs/1512.03385); the stem, the projections and the zero-initialised
last scale of each block are those of AlgoPerf's cifar workload.
"""

import math

import torch
from torch import Tensor, nn

_CUT = 2.0  # standard deviations at which the normal distribution of the weights is cut
_CUT_STD = 0.87962566103423978  # standard deviation of a standard normal cut there
_FC_STD = 0.01


class ResNet(nn.Module):
    """Residual network; 11,173,962 parameters at the default sizes.

    Args:
        widths: channels of the stages; from the second one on a stage halves height and width.
        depth: basic blocks in each stage.
        classes: number of classes.
    """

    def __init__(
        self, widths: tuple[int, ...] = (64, 128, 256, 512), depth: int = 2, classes: int = 10
    ) -> None:
        super().__init__()
        self.conv1 = _conv3x3(3, widths[0])
        self.bn1 = nn.BatchNorm2d(widths[0])
        inputs = widths[0]
        self.stages = len(widths)
        for number, width in enumerate(widths, 1):
            first = BasicBlock(inputs, width, stride=1 if number == 1 else 2)
            rest = [BasicBlock(width, width, stride=1) for _ in range(depth - 1)]
            self.add_module(f"layer{number}", nn.Sequential(first, *rest))
            inputs = width
        self.fc = nn.Linear(inputs, classes)

    def forward(self, images: Tensor) -> Tensor:
        """[B, 3, 32, 32] float32 -> logits [B, K]."""
        x = torch.relu(self.bn1(self.conv1(images)))  # [B, C, 32, 32]
        for number in range(1, self.stages + 1):
            x = self.get_submodule(f"layer{number}")(x)
        x = x.mean(dim=(2, 3))  # [B, C]
        logits: Tensor = self.fc(x)
        return logits

    @torch.no_grad()
    def reset_parameters(self, generator: torch.Generator) -> None:
        """Convolutions truncated lecun normal; scales 1, but 0 in the last norm of each block, so
        that blocks start as the identity; output weights N(0, 0.01), biases 0.
        """
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                fan_in = module.weight[0].numel()
                std = 1.0 / math.sqrt(fan_in) / _CUT_STD
                cut = (-_CUT * std, _CUT * std)
                nn.init.trunc_normal_(module.weight, 0.0, std, *cut, generator=generator)
            elif isinstance(module, nn.BatchNorm2d):
                module.reset_parameters()  # scale 1, bias 0, mean 0, variance 1
        for module in self.modules():
            if isinstance(module, BasicBlock):
                module.bn2.weight.zero_()
        self.fc.weight.normal_(0.0, _FC_STD, generator=generator)
        self.fc.bias.zero_()


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and the input (projected where the shape changes) added to them.

    Args:
        inputs, width: channels in and out.
        stride: of the first convolution and of the projection.
    """

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = _conv3x3(inputs, width, stride)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = _conv3x3(width, width)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = (
            Projection(inputs, width, stride) if stride != 1 or inputs != width else None
        )

    def forward(self, x: Tensor) -> Tensor:
        """[B, inputs, h, w] -> [B, width, h / stride, w / stride]."""
        identity = x if self.downsample is None else self.downsample(x)
        y = torch.relu(self.bn1(self.conv1(x)))
        return torch.relu(self.bn2(self.conv2(y)) + identity)


class Projection(nn.Module):
    """1x1 convolution and norm: gives the shortcut the shape of the block's output."""

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, width, 1, stride, bias=False)
        self.bn = nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        """[B, inputs, h, w] -> [B, width, h / stride, w / stride]."""
        projected: Tensor = self.bn(self.conv(x))
        return projected


def _conv3x3(inputs: int, width: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, width, 3, stride, padding=1, bias=False)
