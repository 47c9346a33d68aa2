"""Golden values that all image classifiers have: weighted hits and loss of an evaluation."""

import numpy as np
import torch

from algoperf_pt.agreement import Array
from algoperf_pt.parity import Answer, Parity


class ClassificationParity(Parity):
    """Adds `metrics_masked_*`: [weighted hits, weighted loss sum] on `targets`, or on labels that
    are the largest logits (all of them hits).
    """

    def answers(self) -> dict[str, Answer]:
        own = {r"case0/metrics_masked_(argmaxlabels_)?accuracy_loss": self.hits_and_loss}
        return super().answers() | own

    def hits_and_loss(self, argmax_labels: str | None) -> Array:
        """float64 [2] of the evaluation step on case0."""
        batch = self.batch()
        if argmax_labels:
            batch["targets"] = self.eval_logits.argmax(-1)
        with torch.no_grad():
            sums = self.fill().eval().eval_step(batch).sums
        return np.array([float(sums["hits"]), float(sums["loss"])])
