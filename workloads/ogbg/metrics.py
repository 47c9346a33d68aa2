"""How well are 128 yes-or-no questions about molecules answered?  The loss, and mean average
precision.

Shapes: G graphs, T tasks.
"""

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, pad

from algoperf_pt.workload import Loss

_CHUNK = 8  # tasks that are sorted at once: their columns stay in a CPU's cache


def task_loss(
    logits: Tensor, targets: Tensor, weights: Tensor | None, label_smoothing: float = 0.0
) -> Loss:
    """Sigmoid cross entropy of each graph and task; `per_example` [G, T], `n_valid` counts entries.

    Smoothing moves a share s of each label to s / T, as if the tasks were the classes of one
    question: the reference does so.

    Args:
        logits, targets: [G, T] float.
        weights: [G, T], 0 where a label is missing; None: ones.
        label_smoothing: s.
    """
    smooth = (1.0 - label_smoothing) * targets + label_smoothing / targets.shape[-1]
    targets = smooth if label_smoothing else targets
    weights = torch.ones_like(targets) if weights is None else weights.to(logits.dtype)
    per_example = binary_cross_entropy_with_logits(logits, targets, weights, reduction="none")
    return Loss(per_example.sum(), weights.sum(), per_example)


def mean_average_precision(logits: Tensor, targets: Tensor, weights: Tensor) -> float:
    """Mean of the tasks' average precisions; nan where no task has one.

    Args:
        logits, targets, weights: [G, T], as `average_precisions` takes them.
    """
    return float(average_precisions(logits, targets, weights).nanmean())


def average_precisions(logits: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    """float64 [T]: sum over thresholds of (recall gained) * precision; graphs of one probability
    share a threshold.  nan: the task has no target of 1.

    The reference also leaves out a task without a target of 0, but counts missing labels and the
    padding that each of its batches has as such targets: there is no such task.

    Args:
        logits: [G, T] float32.  Probabilities are float32 as well, and saturate: that ties graphs.
        targets: [G, T], 0 or 1.
        weights: [G, T], 0: the entry takes no part.
    """
    cuts = [slice(task, task + _CHUNK) for task in range(0, logits.shape[1], _CHUNK)]
    chunks = ((tensor[:, cut].t() for tensor in (logits, targets, weights)) for cut in cuts)
    return torch.cat([_precisions(*chunk) for chunk in chunks])


def _precisions(logits: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    """The same of rows [T, G]."""
    present, positive = weights > 0, targets > 0
    key = torch.where(present, logits.sigmoid(), -1.0)  # what takes no part is last
    ranked, order = key.contiguous().sort(dim=1, descending=True)
    hits = (positive & present).gather(1, order).cumsum(1, dtype=torch.float64)
    place = torch.arange(1, hits.shape[1] + 1, device=hits.device)
    last = ranked != pad(ranked[:, 1:], (0, 1), value=-2.0)  # of its tie
    so_far = torch.where(last, hits, 0.0).cummax(1).values
    gained = torch.where(last, so_far.diff(dim=1, prepend=torch.zeros_like(so_far[:, :1])), 0.0)
    total = hits[:, -1].clamp(min=1.0)
    found = (gained * hits / place).sum(1) / total
    return torch.where(positive.any(1), found, torch.nan)
