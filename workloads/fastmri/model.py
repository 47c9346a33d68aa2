"""The U-Net: halve the image a few times, then double it again beside what was seen on the way.

Shapes: B batch, C channels, h, w height and width at a level.  Source: Ronneberger et al. 2015,
"U-Net" (https://arxiv.org/abs/1505.04597), in the form of Zbontar et al. 2018, "fastMRI"
(https://arxiv.org/abs/1811.08839); sizes and initialisation are those of AlgoPerf's fastmri.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import instance_norm, pad

from workloads.initialisers import lecun_normal_

_SLOPE = 0.2  # of the leaky rectifier below zero
_INSTANCE_EPS, _LAYER_EPS = 1e-5, 1e-6


class UNet(nn.Module):
    """Image in, image out; 7,756,097 parameters at the default sizes.

    Args:
        num_channels: after the first block; each level doubles them.
        num_pool_layers: levels, not counting the bottom.
        tanh: this activation in place of the leaky rectifier.
        layernorm: norms over channels and pixels, with scale and bias, in place of those over
            pixels; the blocks that double the image keep theirs.
        dropout_rate: of whole channels, by default.
    """

    def __init__(
        self,
        num_channels: int = 32,
        num_pool_layers: int = 4,
        tanh: bool = False,
        layernorm: bool = False,
        dropout_rate: float = 0.0,
    ) -> None:
        super().__init__()
        widths = [num_channels * 2**level for level in range(num_pool_layers + 1)]

        def block(inputs: int, width: int) -> ConvBlock:
            return ConvBlock(inputs, width, tanh, layernorm, dropout_rate)

        inputs = [1, *widths[:-2]]
        self.down_sample_layers = nn.ModuleList(map(block, inputs, widths[:-1]))
        self.pool = nn.AvgPool2d(2)
        self.conv = block(widths[-2], widths[-1])
        upward = widths[-2::-1]
        *blocks, last = (block(2 * width, width) for width in upward)
        output = nn.Sequential(last, nn.Conv2d(num_channels, 1, 1))
        self.up_conv = nn.ModuleList([*blocks, output])
        enlarging = (TransposeConvBlock(2 * width, width, tanh) for width in upward)
        self.up_transpose_conv = nn.ModuleList(enlarging)

    @property
    def output_params(self) -> tuple[str, ...]:
        """Names of the last layer's parameters, at whatever level it is."""
        last = f"up_conv.{len(self.up_conv) - 1}.1"
        return f"{last}.weight", f"{last}.bias"

    def forward(self, images: Tensor) -> Tensor:
        """[B, h, w] float32 -> [B, h, w]."""
        x = images.unsqueeze(1)
        skips: list[Tensor] = []
        for block in self.down_sample_layers:
            x = block(x)  # [B, C, h, w]
            skips.append(x)
            x = self.pool(x)  # [B, C, h / 2, w / 2]
        x = self.conv(x)
        for enlarge, block in zip(self.up_transpose_conv, self.up_conv):
            skip = skips.pop()
            x = torch.cat([fitted(enlarge(x), skip), skip], dim=1)  # [B, 2C, h, w]
            x = block(x)
        return x.squeeze(1)

    @torch.no_grad()
    def reset_parameters(self, generator: torch.Generator) -> None:
        """Truncated lecun normal weights, biases 0, scales 1.  The fan-in of a transposed
        convolution is that of the reference's PyTorch side: its weight is [in, out, 2, 2], of
        which it takes the second size.
        """
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
                lecun_normal_(module.weight, generator)
                if module.bias is not None:
                    module.bias.zero_()
            elif isinstance(module, nn.GroupNorm):
                module.reset_parameters()  # scale 1, bias 0


class ConvBlock(nn.Module):
    """Twice: a 3x3 convolution, a norm, an activation, dropout of whole channels.

    Args:
        inputs, width: channels in and out.
        tanh, layernorm, dropout_rate: as of `UNet`.
    """

    def __init__(
        self, inputs: int, width: int, tanh: bool, layernorm: bool, dropout_rate: float
    ) -> None:
        super().__init__()
        parts: list[nn.Module] = []
        for channels in (inputs, width):
            parts.append(nn.Conv2d(channels, width, 3, padding=1, bias=False))
            parts.append(nn.GroupNorm(1, width, _LAYER_EPS) if layernorm else InstanceNorm())
            parts += [activation(tanh), nn.Dropout2d(dropout_rate)]
        self.conv_layers = nn.Sequential(*parts)

    def forward(self, x: Tensor) -> Tensor:
        """[B, inputs, h, w] -> [B, width, h, w]."""
        made: Tensor = self.conv_layers(x)
        return made


class TransposeConvBlock(nn.Module):
    """A transposed 2x2 convolution that doubles height and width, a norm, an activation.

    Args:
        inputs, width: channels in and out.
        tanh: as of `UNet`.
    """

    def __init__(self, inputs: int, width: int, tanh: bool) -> None:
        super().__init__()
        enlarge = nn.ConvTranspose2d(inputs, width, 2, stride=2, bias=False)
        self.layers = nn.Sequential(enlarge, InstanceNorm(), activation(tanh))

    def forward(self, x: Tensor) -> Tensor:
        """[B, inputs, h, w] -> [B, width, 2h, 2w]."""
        made: Tensor = self.layers(x)
        return made


class InstanceNorm(nn.Module):
    """Each channel of each image to mean 0 and variance 1 over its pixels.  No `nn.InstanceNorm2d`,
    which counts as a batch norm although it keeps no statistics.
    """

    affine, track_running_stats, eps = False, False, _INSTANCE_EPS

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, h, w] -> the same."""
        return instance_norm(x, eps=self.eps)


def activation(tanh: bool) -> nn.Module:
    """The leaky rectifier works in place: the norm before it needs its own output no more."""
    return nn.Tanh() if tanh else nn.LeakyReLU(_SLOPE, inplace=True)


def fitted(x: Tensor, skip: Tensor) -> Tensor:
    """`x`, mirrored by a row below or a column on the right where `skip` has one more."""
    below, right = skip.shape[-2] - x.shape[-2], skip.shape[-1] - x.shape[-1]
    return pad(x, (0, right, 0, below), "reflect") if below or right else x
