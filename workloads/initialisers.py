"""How do weights start?  Distributions that several models share, drawn from a generator."""

import math

import torch
from torch import Tensor, nn

_CUT = 2.0  # standard deviations at which the normal distribution is cut
_CUT_STD = 0.87962566103423978  # standard deviation of a standard normal cut there


@torch.no_grad()
def lecun_normal_(weight: Tensor, generator: torch.Generator) -> None:
    """Normal with variance 1 / fan_in, cut at two standard deviations of the uncut one, which is
    widened so that the cut one has the variance.

    Args:
        weight: [outputs, ...], of a linear layer or a convolution; changed in place.
        generator: CPU.

    Source: LeCun et al. 1998, "Efficient BackProp", section 4.6; the cut is that of JAX's
    `lecun_normal`.
    """
    std = 1.0 / math.sqrt(weight[0].numel()) / _CUT_STD
    nn.init.trunc_normal_(weight, 0.0, std, -_CUT * std, _CUT * std, generator=generator)
