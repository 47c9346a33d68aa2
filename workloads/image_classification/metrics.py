"""Cross entropy with label smoothing, and accuracy, on integer or dense labels: shared by the image
classifiers.
"""

import torch
from torch import Tensor
from torch.nn import functional

from algoperf_pt.workload import EvalOutput, Loss


def cross_entropy(
    logits: Tensor, targets: Tensor, weights: Tensor | None, label_smoothing: float = 0.0
) -> Loss:
    """Softmax cross entropy; smoothing s turns a one-hot target into (1 - s) * onehot + s / C.

    Args:
        logits: [B, C] float32.
        targets: [B] int64 classes, or [B, C] float32 class probabilities.
        weights: [B], 1 for valid examples and 0 for padding; None: all valid.
    """
    per_example = functional.cross_entropy(
        logits, targets, reduction="none", label_smoothing=label_smoothing
    )  # [B]; no matrix is made of classes
    if weights is None:
        return Loss(per_example.sum(), per_example.new_tensor(len(targets)), per_example)
    per_example = per_example * weights
    return Loss(per_example.sum(), weights.sum(), per_example)


def classification_sums(logits: Tensor, targets: Tensor, weights: Tensor) -> EvalOutput:
    """Weighted hits, loss and count of a batch; targets [B] int64."""
    hits = (logits.argmax(-1) == targets) * weights
    loss = cross_entropy(logits, targets, weights)
    return EvalOutput(
        {
            "hits": hits.sum(dtype=torch.float64),
            "loss": loss.per_example.sum(dtype=torch.float64),
            "count": weights.sum(dtype=torch.float64),
        }
    )


def classification_metrics(sums: dict[str, float]) -> dict[str, float]:
    """Accuracy and mean loss of a split."""
    return {"accuracy": sums["hits"] / sums["count"], "loss": sums["loss"] / sums["count"]}
