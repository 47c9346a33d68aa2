"""Puts tensors of its own into the model, and trains those."""

import torch
from plain import Plain


class ReplacesParameters(Plain):
    def setup(self, workload, hparams):
        for module in workload.model.modules():
            if isinstance(module, torch.nn.Linear):
                module.weight = torch.nn.Parameter(module.weight.detach() * 0.5)
        super().setup(workload, hparams)
