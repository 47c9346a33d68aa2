"""CIFAR-10 photographs, ResNet-18: a development workload with convolutions and batch norm (not
scored).
"""

from typing import Any

import torch
from torch import Tensor

from algoperf_pt.workload import EvalOutput, Loss, Workload
from algoperf_pt.workload_data import Batch
from workloads.cifar.model import ResNet
from workloads.image_classification.metrics import (
    classification_metrics,
    classification_sums,
    cross_entropy,
)


class CifarWorkload(Workload):
    """Image classification by a ResNet; softmax cross entropy, accuracy."""

    model: ResNet
    output_params = ("fc.weight", "fc.bias")

    def build_model(self, **model: Any) -> ResNet:
        return ResNet(**model)

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
