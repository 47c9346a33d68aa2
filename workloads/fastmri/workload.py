"""fastMRI: knee images from a quarter of their k-space, by a U-Net, judged by their SSIM."""

from typing import Any

import torch
from torch import Tensor

from algoperf_pt.workload import EvalOutput, Loss, Workload, in_parts
from algoperf_pt.workload_data import Batch
from workloads.fastmri.model import UNet
from workloads.fastmri.ssim import slice_ssim


class FastmriWorkload(Workload):
    """Batches: `inputs`, `targets` [B, h, w] float32, both normalised by the input's `mean` and
    `std` [B]; `volume_max` [B], `weights` [B].  The model's outputs: [B, h, w].
    """

    def build_model(self, eval_rows: int = 32, **sizes: Any) -> UNet:
        """Args:
        eval_rows: slices that a rank evaluates at once; a matter of memory, not of figures.
        sizes: of `workloads.fastmri.model.UNet`.
        """
        self._eval_rows = eval_rows
        model = UNet(**sizes)
        self.output_params = model.output_params
        return model

    def reset_parameters(self, generator: torch.Generator) -> None:
        self.model.reset_parameters(generator)

    def loss(self, batch: Batch, logits: Tensor, label_smoothing: float = 0.0) -> Loss:
        """Mean absolute error of a slice's pixels; `per_example` [B].  There are no labels to
        smooth.
        """
        per_example = (logits - batch["targets"]).abs().mean(dim=(1, 2))
        weights = batch.get("weights")
        if weights is None:
            n_valid = per_example.new_tensor(len(per_example))
        else:
            per_example = per_example * weights
            n_valid = weights.sum().to(per_example.dtype)
        return Loss(per_example.sum(), n_valid, per_example)

    def eval_step(self, batch: Batch) -> EvalOutput:
        """Sums over the slices that are no padding."""
        return in_parts(batch, self._eval_rows, self._eval_part)

    def metrics(
        self, split: str, sums: dict[str, float], rows: dict[str, Tensor]
    ) -> dict[str, float]:
        """Mean over slices, not over volumes."""
        return {"ssim": sums["ssim"] / sums["count"], "loss": sums["loss"] / sums["count"]}

    def _eval_part(self, batch: Batch) -> dict[str, Tensor]:
        outputs = self(batch)
        scale = (batch[name] for name in ("mean", "std", "volume_max"))
        found = slice_ssim(outputs, batch["targets"], *scale) * batch["weights"]
        loss = self.loss(batch, outputs).per_example
        sums = {"ssim": found, "loss": loss, "count": batch["weights"]}
        return {name: value.sum(dtype=torch.float64) for name, value in sums.items()}
