"""Image classification with cross entropy and accuracy: what mnist, digits and cifar share."""

from typing import Any

import torch
from torch import Tensor, nn

from algoperf_pt.workload import EvalOutput, Loss, Workload
from algoperf_pt.workload_data import Batch
from workloads.image_classification.metrics import (
    classification_metrics,
    classification_sums,
    cross_entropy,
)


class ImageClassification(Workload):
    """Subclass it with `network` and `output_params`.

    `network`: the model's class; it takes the YAML's `model` and has `reset_parameters(generator)`.
    """

    network: type[nn.Module]

    def build_model(self, **model: Any) -> nn.Module:
        return self.network(**model)

    def reset_parameters(self, generator: torch.Generator) -> None:
        self.model.reset_parameters(generator)

    def loss(self, batch: Batch, logits: Tensor, label_smoothing: float = 0.0) -> Loss:
        return cross_entropy(logits, batch["targets"], batch.get("weights"), label_smoothing)

    def eval_step(self, batch: Batch) -> EvalOutput:
        return classification_sums(self(batch), batch["targets"], batch["weights"])

    def metrics(
        self, split: str, sums: dict[str, float], rows: dict[str, Tensor]
    ) -> dict[str, float]:
        return classification_metrics(sums)
