"""Criteo 1TB click logs, DLRM-small: one large table, large batches, mean log loss."""

from typing import Any

import torch
from torch import Tensor, nn

from algoperf_pt.workload import EvalOutput, Loss, Workload
from algoperf_pt.workload_data import Batch
from workloads.criteo1tb.metrics import click_loss, loss_sums
from workloads.criteo1tb.model import DLRM

_CPU_ROWS = 1024  # rows evaluated at once on a CPU: what is made of them stays in its cache


class CriteoWorkload(Workload):
    """Click-through prediction; logits [B, 1], loss by example [B]."""

    output_params = ("output.weight", "output.bias")

    def build_model(self, **model: Any) -> nn.Module:
        return DLRM(**model)

    def reset_parameters(self, generator: torch.Generator) -> None:
        self.model.reset_parameters(generator)

    def loss(self, batch: Batch, logits: Tensor, label_smoothing: float = 0.0) -> Loss:
        """Label smoothing has no meaning for it and is ignored, as in the reference."""
        return click_loss(logits, batch["targets"], batch.get("weights"))

    def eval_step(self, batch: Batch) -> EvalOutput:
        inputs = batch["inputs"]
        rows = _CPU_ROWS if inputs.device.type == "cpu" else len(inputs)
        logits = torch.cat([self({"inputs": part}) for part in inputs.split(rows)])
        return loss_sums(logits, batch["targets"], batch["weights"])

    def metrics(
        self, split: str, sums: dict[str, float], rows: dict[str, Tensor]
    ) -> dict[str, float]:
        return {"loss": sums["loss"] / sums["count"]}
