"""How do two convolutions follow each other without the images between them in memory?  Piece by
piece, and again piece by piece in the backward pass.

What the first convolution gives is by far the largest tensor of both models, 84 MB for 20 seconds;
there is one channel in front of it, so it is cheap to make twice.  Shapes: G utterances, a times b
places of the image between the convolutions, zeros around it included, and n2 times F2 of the last
one, C channels.  Images have their channels last, [G, time, frequency, C].
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import conv2d, conv_transpose2d
from torch.nn.grad import conv2d_weight

TAPS, STRIDE = 3, 2
_PIECE = {"cpu": 2**23}  # bytes of an image between the convolutions: what a cache can hold
_LARGE_PIECE = 2**30  # on a device with memory, and parallel units, to fill

Gradients = tuple[None, Tensor | None, Tensor | None, Tensor | None, None]


def convolved(patches: Tensor, kernel: Tensor, weight: Tensor, bias: Tensor, tanh: bool) -> Tensor:
    """[G, a, b, 10] -> [G, n2, F2, C], before the second activation.

    Args:
        patches: what each place of the first convolution sees, and its factor of the bias.
        kernel: [10, C] of the first convolution.
        weight: [C, C, 3, 3] of the second one.
        bias: [C] of the second one.
        tanh: between them, in place of the rectifier.
    """
    made: Tensor = _Convolutions.apply(patches, kernel, weight, bias, tanh)
    return made


class _Convolutions(torch.autograd.Function):
    @staticmethod
    def forward(
        patches: Tensor, kernel: Tensor, weight: Tensor, bias: Tensor, tanh: bool
    ) -> Tensor:
        sizes = ((size - TAPS) // STRIDE + 1 for size in patches.shape[1:3])
        image = patches.new_empty(len(patches), *sizes, len(weight))
        for piece in _pieces(image, kernel):
            seen = _between(patches[piece.inputs], kernel, tanh)
            image[piece.outputs] = conv2d(seen, weight, bias, STRIDE).permute(0, 2, 3, 1)
        return image

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        *tensors, ctx.tanh = inputs
        ctx.save_for_backward(*tensors)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Gradients:
        if torch.is_grad_enabled():  # a gradient of this gradient is wanted
            return _plainly(ctx.saved_tensors, ctx.tanh, gradient)
        patches, kernel, weight, bias = ctx.saved_tensors
        of_kernel, of_weight = torch.zeros_like(kernel), _WeightGradient(weight)
        for piece in _pieces(gradient, kernel):
            seen = _between(patches[piece.inputs], kernel, ctx.tanh)
            part = gradient[piece.outputs].permute(0, 3, 1, 2)
            of_weight.add(seen, part)
            of_seen = conv_transpose2d(part, weight, stride=STRIDE)
            _through_activation_(of_seen, seen, ctx.tanh)
            rows = of_seen.permute(0, 2, 3, 1).reshape(-1, kernel.shape[1])
            of_kernel.addmm_(patches[piece.inputs].reshape(len(rows), -1).t(), rows)
        return None, of_kernel, of_weight.total(), gradient.sum((0, 1, 2)), None


def _plainly(tensors: tuple[Tensor, ...], tanh: bool, gradient: Tensor) -> Gradients:
    patches, kernel, weight, bias = tensors
    seen = _between(patches, kernel, tanh)
    made = conv2d(seen, weight, bias, STRIDE).permute(0, 2, 3, 1)
    found = torch.autograd.grad(made, (kernel, weight, bias), gradient, create_graph=True)
    of_kernel, of_weight, of_bias = found
    return None, of_kernel, of_weight, of_bias, None


def _between(patches: Tensor, kernel: Tensor, tanh: bool) -> Tensor:
    """[G, C, a, b], a view of channels last: activations of the first convolution."""
    made = torch.matmul(patches, kernel)
    return (torch.tanh_(made) if tanh else torch.relu_(made)).permute(0, 3, 1, 2)


def _through_activation_(gradient: Tensor, output: Tensor, tanh: bool) -> None:
    """In place, since the pages of a new tensor of this size take longer than the arithmetic."""
    if tanh:
        torch.ops.aten.tanh_backward.grad_input(gradient, output, grad_input=gradient)
    else:
        torch.ops.aten.threshold_backward.grad_input(gradient, output, 0, grad_input=gradient)


class _WeightGradient:
    """Of the second convolution, summed over pieces.  On a CPU by nine matrix products, one for
    each place of the kernel: oneDNN takes four times as long where channels are last.

    Args:
        weight: [outputs, inputs, 3, 3].
    """

    def __init__(self, weight: Tensor) -> None:
        self.shape, self.by_products = weight.shape, weight.device.type == "cpu"
        outputs, inputs = weight.shape[:2]
        sizes = (TAPS**2, inputs, outputs) if self.by_products else weight.shape
        self.sums = weight.new_zeros(sizes)

    def add(self, seen: Tensor, gradient: Tensor) -> None:
        """Of a piece: [G, inputs, a, b] and [G, outputs, n2, F2]."""
        if not self.by_products:
            found: Tensor = conv2d_weight(  # type: ignore[no-untyped-call]
                seen, self.shape, gradient, STRIDE
            )
            self.sums += found
            return
        rows = gradient.permute(0, 2, 3, 1).reshape(-1, self.shape[0])  # [places, outputs]
        last, lowest = (STRIDE * (size - 1) + 1 for size in gradient.shape[2:])
        for total, (i, j) in zip(self.sums, product(range(TAPS), repeat=2)):
            tap = seen[:, :, i : i + last : STRIDE, j : j + lowest : STRIDE].permute(0, 2, 3, 1)
            total.addmm_(tap.reshape(len(rows), -1).t(), rows)

    def total(self) -> Tensor:
        """[outputs, inputs, 3, 3]."""
        if not self.by_products:
            return self.sums
        return self.sums.permute(2, 1, 0).reshape(self.shape)


@dataclass(frozen=True)
class _Piece:
    """Rows and times: of the last image, and what they depend on of the one between."""

    outputs: tuple[slice, slice]
    inputs: tuple[slice, slice]


def _pieces(image: Tensor, kernel: Tensor) -> Iterator[_Piece]:
    """Of a last image [G, n2, F2, C]: several rows, or a part of one, as memory allows."""
    rows, times, lowest, channels = image.shape
    a_time = STRIDE * (STRIDE * lowest + 1) * channels * image.element_size()
    budget = _PIECE.get(image.device.type, _LARGE_PIECE)
    at_once = max(1, min(rows, budget // (a_time * times)))
    steps = times if at_once * times * a_time <= budget else max(1, budget // (a_time * at_once))
    for row, start in product(range(0, rows, at_once), range(0, times, steps)):
        stop, span = min(times, start + steps), slice(row, row + at_once)
        seen = slice(STRIDE * start, STRIDE * (stop - 1) + TAPS)
        yield _Piece((span, slice(start, stop)), (span, seen))
