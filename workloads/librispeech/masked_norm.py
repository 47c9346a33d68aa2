"""How are activations normalised?  Over the channels of a frame, or over the valid frames of the
whole batch; scales are kept as what is added to 1.

Shapes: S valid frames of this rank's utterances (packing.py), C channels.
"""

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.nn.functional import all_reduce
from torch.nn.functional import layer_norm

from algoperf_pt.roles import ParamType

_LAYER_EPS, _BATCH_EPS = 1e-6, 1e-3
MOMENTUM = 0.001  # weight of a new value in the running statistics


class LayerNorm(nn.Module):
    """Mean 0 and variance 1 over the channels, times 1 + `scale`, plus `bias`; both start at 0.

    Args:
        width: C.
    """

    param_roles = {"scale": ParamType.LAYER_NORM_SCALE, "bias": ParamType.LAYER_NORM_BIAS}

    def __init__(self, width: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.zeros(width))
        self.bias = nn.Parameter(torch.zeros(width))

    def reset_parameters(self) -> None:
        """Both to 0."""
        nn.init.zeros_(self.scale)
        nn.init.zeros_(self.bias)

    def forward(self, x: Tensor) -> Tensor:
        """[..., C] -> the same."""
        return layer_norm(x, self.scale.shape, 1.0 + self.scale, self.bias, _LAYER_EPS)


class MaskedBatchNorm(nn.modules.batchnorm._NormBase):
    """Batch norm over the valid frames of the global batch: in training, sums and counts are added
    over ranks, with gradients.  Times 1 + `weight`, plus `bias`; both start at 0.

    The running variance gets the biased variance.  A momentum of 0 leaves the running statistics
    alone, as `Workload.forward(update_batch_norm=False)` asks for.

    Args:
        width: C.
    """

    weight: nn.Parameter
    bias: nn.Parameter
    running_mean: Tensor
    running_var: Tensor

    def __init__(self, width: int) -> None:
        super().__init__(width, _BATCH_EPS, MOMENTUM)
        self.num_batches_tracked = None  # the momentum is fixed

    def reset_running_stats(self) -> None:
        """Mean 0, variance 1."""
        nn.init.zeros_(self.running_mean)
        nn.init.ones_(self.running_var)

    def reset_parameters(self) -> None:
        """Scale and bias 0, and the running statistics."""
        self.reset_running_stats()
        nn.init.zeros_(self.weight)
        nn.init.zeros_(self.bias)

    def forward(self, x: Tensor) -> Tensor:
        """[S, C] valid frames -> the same."""
        if self.training:
            mean, variance = global_moments(x)
            self._update(mean.detach(), variance.detach())
        else:
            mean, variance = self.running_mean, self.running_var
        factor = (1.0 + self.weight) * torch.rsqrt(variance + self.eps)
        return (x - mean) * factor + self.bias

    @torch.no_grad()
    def _update(self, mean: Tensor, variance: Tensor) -> None:
        if self.momentum:
            for running, new in ((self.running_mean, mean), (self.running_var, variance)):
                running.mul_(1.0 - self.momentum).add_(new, alpha=self.momentum)


def global_moments(x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean [C] and biased variance [C] of the rows [S, C] of all ranks, with gradients.

    Two passes, since a variance from sums of squares loses digits.
    """
    sums = _over_ranks(torch.cat([x.sum(0), x.new_full((1,), len(x))]))
    count = sums[-1].clamp(min=1.0)
    mean = sums[:-1] / count
    return mean, _over_ranks((x - mean).square().sum(0)) / count


def _over_ranks(values: Tensor) -> Tensor:
    if dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1:
        summed: Tensor = all_reduce(values)  # type: ignore[no-untyped-call]
        return summed
    return values
