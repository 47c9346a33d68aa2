"""What do residual networks share?  A stem, stages of blocks, the mean over pixels, a linear layer;
and how they start.

Shapes: B batch, C channels, H and W height and width, K classes.  Source: He et al. 2016, "Deep
Residual Learning for Image Recognition" (https://arxiv.org/abs/1512.03385).
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from workloads.initialisers import lecun_normal_

_FC_STD = 0.01


class Block(nn.Module):
    """What stages are made of: some convolutions, and the input, projected where its shape changes,
    added to them.

    `outputs`: channels out; `last_norm`: name of the norm before the sum.
    """

    outputs: int
    last_norm: str

    def shortcut(self, inputs: int, stride: int) -> "Projection | None":
        """What the input goes through; None: it is added as it is."""
        same = stride == 1 and inputs == self.outputs
        return None if same else Projection(inputs, self.outputs, stride)


class Projection(nn.Module):
    """1x1 convolution and norm: gives the shortcut the shape of the block's output."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
        self.bn = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """[B, inputs, H, W] -> [B, outputs, H / stride, W / stride]."""
        projected: Tensor = self.bn(self.conv(x))
        return projected


class ResidualNetwork(nn.Module):
    """Subclass it with `stem`.

    Args:
        first: the first convolution.
        block: makes one from (channels in, width, stride).
        widths, depths: of the stages; from the second one on a stage halves height and width.
        classes: K.
        last_scale: of the last norm in each block at the start; 0: blocks start as their shortcut.
    """

    def __init__(
        self,
        first: nn.Conv2d,
        block: Callable[[int, int, int], Block],
        widths: Sequence[int],
        depths: Sequence[int],
        classes: int,
        last_scale: float = 0.0,
    ) -> None:
        super().__init__()
        self.last_scale = last_scale
        self.conv1 = first
        self.bn1 = nn.BatchNorm2d(first.out_channels)
        inputs = first.out_channels
        self.stages = len(widths)
        for number, (width, depth) in enumerate(zip(widths, depths, strict=True), 1):
            blocks: list[Block] = []
            for position in range(depth):
                blocks.append(block(inputs, width, 2 if position == 0 and number > 1 else 1))
                inputs = blocks[-1].outputs
            self.add_module(f"layer{number}", nn.Sequential(*blocks))
        self.fc = nn.Linear(inputs, classes)

    def stem(self, images: Tensor) -> Tensor:
        """[B, 3, H, W] -> what the first stage takes."""
        raise NotImplementedError

    def forward(self, images: Tensor) -> Tensor:
        """[B, 3, H, W] float32 -> logits [B, K]."""
        x = self.stem(images)
        for number in range(1, self.stages + 1):
            x = self.get_submodule(f"layer{number}")(x)
        logits: Tensor = self.fc(x.mean(dim=(2, 3)))
        return logits

    @torch.no_grad()
    def reset_parameters(self, generator: torch.Generator) -> None:
        """Convolutions truncated lecun normal; scales 1, but `last_scale` in the last norm of each
        block; output weights N(0, 0.01), biases 0; running statistics as at the start.
        """
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                lecun_normal_(module.weight, generator)
            elif isinstance(module, nn.BatchNorm2d):
                module.reset_parameters()  # scale 1, bias 0, mean 0, variance 1
        for module in self.modules():
            if isinstance(module, Block):
                norm = module.get_submodule(module.last_norm)
                assert isinstance(norm, nn.BatchNorm2d)
                norm.weight.fill_(self.last_scale)
        self.fc.weight.normal_(0.0, _FC_STD, generator=generator)
        self.fc.bias.zero_()


def conv3x3(inputs: int, outputs: int, stride: int = 1) -> nn.Conv2d:
    """3x3 convolution without bias that keeps height and width, divided by the stride."""
    return nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
