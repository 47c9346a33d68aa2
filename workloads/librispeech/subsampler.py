"""How do 10 ms become 40 ms?  Two convolutions of stride 2 over time and frequency, and a linear
map of what is left of the frequencies.

Shapes: G utterances, n frames, F mel bins, C channels; n1, F1 after the first convolution, n2, F2
after the second.  Images are kept with channels last, [G, time, frequency, C].
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from workloads.librispeech.convolutions import STRIDE, TAPS, convolved
from workloads.librispeech.lengths import encoded, subsampled


class Subsampler(nn.Module):
    """[G, n, F] features -> [G, n2, C].

    Zeros around images are TensorFlow's "SAME": none before and one behind an even length, one on
    both sides of an odd one.  What the first convolution makes of padded frames becomes zero.

    Args:
        bins: F.
        width: C.
        tanh: this activation in place of the rectifier.
    """

    def __init__(self, bins: int, width: int, tanh: bool) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, width, TAPS, STRIDE)
        self.conv2 = nn.Conv2d(width, width, TAPS, STRIDE)
        self.linear = nn.Linear(encoded(bins) * width, width)
        self.tanh = tanh

    def forward(self, features: Tensor, valid: Tensor) -> Tensor:
        """What is behind the valid frames of a row has no meaning.

        Args:
            features: [G, n, F].
            valid: [G] valid frames.
        """
        patches = first_patches(features, valid)  # [G, n1 + zeros, F1 + zeros, 10]
        second = self.conv2
        image = convolved(patches, _with_bias(self.conv1), second.weight, second.bias, self.tanh)
        image = torch.tanh_(image) if self.tanh else torch.relu_(image)  # [G, n2, F2, C]
        frames: Tensor = self.linear(image.flatten(2))
        return frames


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
    patches = image.unfold(1, TAPS, STRIDE).unfold(2, TAPS, STRIDE).flatten(3)
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
    return before + STRIDE * first, behind + STRIDE * last
