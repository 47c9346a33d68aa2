"""MNIST against its golden fixture: the names are the reference's, tolerances as measured."""

import torch
from torch import Tensor

from algoperf_pt.agreement import ABSOLUTE, EACH, Tolerance
from algoperf_pt.parity import Answer
from workloads.image_classification.parity import ClassificationParity
from workloads.mnist.data import normalise


class MnistParity(ClassificationParity):
    """Adds the normalisation of raw images."""

    tolerances = {
        "case0/*_grad_l2": Tolerance(1e-4, EACH),
        "case0/*_n_valid": Tolerance(0.0),
        "case0/*": Tolerance(1e-5),
        "preprocess/*": Tolerance(1e-4, ABSOLUTE),
    }

    def answers(self) -> dict[str, Answer]:
        return super().answers() | {"preprocess/out_nchw": self.normalised}

    def normalised(self) -> Tensor:
        """[B, 1, height, width] from uint8 [B, height, width, 1]."""
        raw = torch.from_numpy(self.fixture.files["preprocess"]["raw"]).permute(0, 3, 1, 2)
        return normalise(raw, self.options["mean"], self.options["std"])


PARITY = MnistParity
