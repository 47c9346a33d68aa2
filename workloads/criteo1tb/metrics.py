"""Binary cross entropy on logits: the loss that is trained and the one that is reported."""

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from algoperf_pt.workload import EvalOutput, Loss


def click_loss(logits: Tensor, targets: Tensor, weights: Tensor | None) -> Loss:
    """-(y log s(z) + (1 - y) log s(-z)), s the logistic function, times the weight.

    Args:
        logits: [B, 1] or [B] float32.
        targets: as many float32, 1 for a click.
        weights: as many, factors of the examples; None: ones.
    """
    logits, targets = logits.flatten(), targets.flatten()
    weights = None if weights is None else weights.flatten()
    per_example = binary_cross_entropy_with_logits(logits, targets, weights, reduction="none")
    n_valid = per_example.new_tensor(len(targets)) if weights is None else weights.sum()
    return Loss(per_example.sum(), n_valid, per_example)


def loss_sums(logits: Tensor, targets: Tensor, weights: Tensor) -> EvalOutput:
    """Weighted loss of a batch, added in float32 as the reference does, and its weight."""
    loss = click_loss(logits, targets, weights)
    return EvalOutput(
        {"loss": loss.summed.to(torch.float64), "count": weights.sum(dtype=torch.float64)}
    )
