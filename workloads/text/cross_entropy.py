"""Cross entropy of tokens with label smoothing, in the memory of the logits and their gradient.

Shapes: B batch, L positions, V vocabulary.  torch's own keeps the log-probabilities [B, L, V] for
the backward pass and makes two more such tensors in it; here the backward pass starts again from
the logits and one number a position.
"""

from typing import Any

import torch
from torch import Tensor

from algoperf_pt.workload import Loss


def token_cross_entropy(
    logits: Tensor, targets: Tensor, weights: Tensor | None, label_smoothing: float = 0.0
) -> Loss:
    """Cross entropy with the target (1 - s) * onehot + s / V; `per_example` is [B, L].

    Args:
        logits: [B, L, V] float32.
        targets: [B, L] int64.
        weights: [B, L], multiplied into the losses, 0 for padding; None: all positions count.
        label_smoothing: s.
    """
    per_token: Tensor = _CrossEntropy.apply(logits, targets, label_smoothing)
    if weights is None:
        return Loss(per_token.sum(), per_token.new_tensor(per_token.numel()), per_token)
    weights = weights.to(per_token.dtype)
    per_token = per_token * weights
    return Loss(per_token.sum(), weights.sum(), per_token)


class _CrossEntropy(torch.autograd.Function):
    """[B, L, V], [B, L], s -> [B, L]: logsumexp - (1 - s) logit of the target - s mean logit."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, targets: Tensor, smoothing: float) -> Tensor:
        total = torch.logsumexp(logits, -1)  # [B, L]
        ctx.smoothing = smoothing
        ctx.save_for_backward(logits, targets, total)
        loss = total - (1.0 - smoothing) * _picked(logits, targets)
        return loss - smoothing * logits.mean(-1) if smoothing else loss

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        logits, targets, total = ctx.saved_tensors
        index, hit = targets[..., None], -(1.0 - ctx.smoothing) * grad[..., None]
        smooth = (grad * (ctx.smoothing / logits.shape[-1]))[..., None]
        if torch.is_grad_enabled():  # a second derivative is wanted: nothing in place
            share = torch.softmax(logits, -1) * grad[..., None] - smooth
            return share.scatter_add(-1, index, hit), None, None
        share = torch.sub(logits, total[..., None]).exp_().mul_(grad[..., None])
        if ctx.smoothing:
            share.sub_(smooth)
        return share.scatter_add_(-1, index, hit), None, None


def _picked(logits: Tensor, targets: Tensor) -> Tensor:
    return logits.gather(-1, targets[..., None]).squeeze(-1)
