"""How do 10 ms become 40 ms?  Two convolutions of stride 2 over time and frequency, and a linear
map of what is left of the frequencies.

Shapes: G utterances, n frames, F mel bins, C channels; n1, F1 after the first convolution, n2, F2
after the second.  Images are kept with channels last, [G, time, frequency, C].
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from itertools import product
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, conv_transpose2d, pad

from workloads.librispeech.lengths import subsampled
from workloads.librispeech.recompute import made_again

_TAPS, _STRIDE = 3, 2


class Subsampler(nn.Module):
    """[G, n, F] features -> [G, n2, C].

    Zeros around images are TensorFlow's "SAME": none before and one behind an even length, one on
    both sides of an odd one.  What the first convolution makes of padded frames becomes zero.

    Args:
        bins: F.
        width: C.
        tanh: this activation in place of the rectifier.
        recompute: make the activations of the first convolution again in the backward pass, in
            place of keeping them; by far the largest ones, and cheap, as there is one channel.
    """

    def __init__(self, bins: int, width: int, tanh: bool, recompute: bool) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, width, _TAPS, _STRIDE)
        self.conv2 = nn.Conv2d(width, width, _TAPS, _STRIDE)
        self.linear = nn.Linear(subsampled(subsampled(bins)) * width, width)
        self.tanh, self.recompute = tanh, recompute

    def forward(self, features: Tensor, valid: Tensor) -> Tensor:
        """What is behind the valid frames of a row has no meaning.

        Args:
            features: [G, n, F].
            valid: [G] valid frames.
        """
        patches = first_patches(features, valid)  # [G, n1 + zeros, F1 + zeros, 10]
        kernel = _with_bias(self.conv1)
        image = torch.matmul(patches, kernel)  # [G, n1 + zeros, F1 + zeros, C]
        again: AbstractContextManager[Any] = nullcontext()
        if self.recompute and torch.is_grad_enabled():
            again = made_again(image, lambda: self._activate(torch.matmul(patches, kernel)))
        with again:
            image = _convolved(self._activate(image), self.conv2)  # [G, n2, F2, C]
        frames: Tensor = self.linear(self._activate(image).flatten(2))
        return frames

    def _activate(self, x: Tensor) -> Tensor:
        return torch.tanh_(x) if self.tanh else torch.relu_(x)


def _convolved(image: Tensor, conv: nn.Conv2d) -> Tensor:
    """[G, a, b, C] -> [G, n2, F2, C]; zeros are around the image already."""
    first = image.permute(0, 3, 1, 2)  # a view: channels stay last in memory
    if image.device.type == "cpu":
        made: Tensor = _CpuConvolution.apply(first, conv.weight, conv.bias)
    else:
        made = conv2d(first, conv.weight, conv.bias, _STRIDE)
    return made.permute(0, 2, 3, 1)


class _CpuConvolution(torch.autograd.Function):
    """[G, C, a, b] -> [G, C, n2, F2], channels last in memory.  For the gradient of the weights
    oneDNN takes four times as long as nine matrix products do.
    """

    @staticmethod
    def forward(ctx: Any, image: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(image, weight)
        return conv2d(image, weight, bias, _STRIDE)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        image, weight = ctx.saved_tensors
        rows = gradient.permute(0, 2, 3, 1).reshape(-1, len(weight))  # [places, outputs]
        products = [seen.reshape(len(rows), -1).t() @ rows for seen in _taps(image, gradient)]
        of_weight = torch.stack(products, -1).transpose(0, 1).reshape(weight.shape)
        return conv_transpose2d(gradient, weight, stride=_STRIDE), of_weight, rows.sum(0)


def _taps(image: Tensor, outputs: Tensor) -> Iterator[Tensor]:
    """What each weight of the kernel sees, row by row: [G, n2, F2, C]."""
    last, lowest = (_STRIDE * (size - 1) + 1 for size in outputs.shape[2:])
    for i, j in product(range(_TAPS), repeat=2):
        yield image[:, :, i : i + last : _STRIDE, j : j + lowest : _STRIDE].permute(0, 2, 3, 1)


def _with_bias(conv: nn.Conv2d) -> Tensor:
    """[10, C]: weights of the taps, and the bias.  Contiguous, since the gradient of a transposed
    view takes ten times as long."""
    assert conv.bias is not None
    return torch.cat([conv.weight.flatten(1), conv.bias[:, None]], 1).t().contiguous()


def first_patches(features: Tensor, valid: Tensor) -> Tensor:
    """[G, a, b, 10]: the nine values that an output of the first convolution depends on, and a one
    for its bias; all ten are zero at padded frames, and at the zeros that the second convolution
    wants around its image, so that they come out as zeros.

    Args:
        features: [G, n, F].
        valid: [G] valid frames.
    """
    n, bins = features.shape[1:]
    n1, bins1 = subsampled(n), subsampled(bins)
    (before, behind), (left, right) = _same(n1), _same(bins1)
    margins = [_widened(bins, bins1), _widened(n, n1)]
    image = pad(features, [zeros for margin in margins for zeros in margin])
    patches = image.unfold(1, _TAPS, _STRIDE).unfold(2, _TAPS, _STRIDE).flatten(3)
    times = torch.arange(-before, n1 + behind, device=features.device)
    places = torch.arange(-left, bins1 + right, device=features.device)
    inside = (times >= 0) & (times < subsampled(valid)[:, None])  # [G, n1 + zeros]
    kept = inside[:, :, None] & (places >= 0) & (places < bins1)
    return pad(patches, (0, 1), value=1.0) * kept[..., None]


def _same(length: int) -> tuple[int, int]:
    """Zeros before and behind `length` values."""
    return (1, 1) if length % 2 else (0, 1)


def _widened(length: int, halved: int) -> tuple[int, int]:
    """Zeros around the input such that the output has its own margins."""
    (before, behind), (first, last) = _same(length), _same(halved)
    return before + _STRIDE * first, behind + _STRIDE * last
