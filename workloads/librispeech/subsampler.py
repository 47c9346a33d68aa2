"""How do 10 ms become 40 ms?  Two convolutions of stride 2 over time and frequency, and a linear
map of what is left of the frequencies.

Shapes: G utterances, n frames, F mel bins, C channels; n1, F1 after the first convolution, n2, F2
after the second.  Images are kept with channels last, [G, time, frequency, C].
"""

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.nn.functional import conv2d, pad

from workloads.librispeech.lengths import subsampled

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
        kernel = _with_bias(self.conv1).t()
        made = torch.matmul(patches, kernel)  # [G, n1 + zeros, F1 + zeros, C]
        with self._keeping(made, lambda: torch.matmul(patches, kernel)):
            seen = self._activate(made).permute(0, 3, 1, 2)
            image = conv2d(seen, self.conv2.weight, self.conv2.bias, _STRIDE)
        frames: Tensor = self.linear(self._activate(image).permute(0, 2, 3, 1).flatten(2))
        return frames

    def _activate(self, x: Tensor) -> Tensor:
        return torch.tanh_(x) if self.tanh else torch.relu_(x)

    def _keeping(self, made: Tensor, make: Callable[[], Tensor]) -> Any:
        """Within it, what would be saved of `made` is made again instead, if so wanted."""
        if not self.recompute:
            return nullcontext()
        place = made.data_ptr()

        def pack(saved: Tensor) -> Any:
            same = saved.data_ptr() == place
            return _Again(saved.shape, saved.stride()) if same else saved

        def unpack(kept: Any) -> Tensor:
            if not isinstance(kept, _Again):
                return kept  # type: ignore[no-any-return]
            with torch.no_grad():
                again = self._activate(make())
            return again.as_strided(kept.shape, kept.stride)

        return saved_tensors_hooks(pack, unpack)


def _with_bias(conv: nn.Conv2d) -> Tensor:
    """[C, 10]: weights of the taps, and the bias."""
    assert conv.bias is not None
    return torch.cat([conv.weight.flatten(1), conv.bias[:, None]], 1)


class _Again:
    """In place of a saved tensor: how it lay in memory."""

    def __init__(self, shape: torch.Size, stride: tuple[int, ...]) -> None:
        self.shape, self.stride = shape, stride


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
