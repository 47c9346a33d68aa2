"""Golden values that all image classifiers have: weighted hits and loss of an evaluation."""

import numpy as np
import torch

from algoperf_pt.agreement import EACH, Array, Tolerance
from algoperf_pt.parity import Answer, Parity

# Of residual networks with ReLU and batch norm, as the fixtures' READMEs measured them.
RESIDUAL_TOLERANCES = {
    "case0/*_grad_l2": Tolerance(1e-2, EACH),  # a sign at zero moves single tensors
    "case0/*_bn_stats_l2": Tolerance(1e-5, EACH),
    "case0/*train_logits": Tolerance(2e-4),
    "case0/*_n_valid": Tolerance(0.0),
    "case0/*logits": Tolerance(2e-5),
    "case0/*": Tolerance(1e-5),  # losses and sums
}


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
