"""CIFAR-10 against its golden fixture: the names are the reference's, tolerances as measured."""

import torch
from torch import Tensor

from algoperf_pt.agreement import ABSOLUTE, EACH, Tolerance
from algoperf_pt.parity import Answer
from workloads.cifar.data import crop_and_flip
from workloads.image_classification.parity import ClassificationParity
from workloads.image_classification.pixels import normalise


class CifarParity(ClassificationParity):
    """Adds the two transforms of raw images."""

    tolerances = {
        "case0/*_grad_l2": Tolerance(1e-2, EACH),  # ReLU: a sign at zero moves single tensors
        "case0/*_bn_stats_l2": Tolerance(1e-5, EACH),
        "case0/*train_logits": Tolerance(2e-4),
        "case0/*_n_valid": Tolerance(0.0),
        "case0/*logits": Tolerance(2e-5),
        "case0/*": Tolerance(1e-5),  # losses and metrics
        "preprocess/*": Tolerance(1e-6, ABSOLUTE),
    }
    unbounded = ("fc.weight",)  # a normal distribution that is not cut

    def answers(self) -> dict[str, Answer]:
        own = {"preprocess/eval_out": self.eval_images, "preprocess/train_out": self.train_images}
        return super().answers() | own

    def eval_images(self) -> Tensor:
        """[B, 3, 32, 32]: /255 and normalised."""
        return normalise(self._raw(), self.options["mean"], self.options["std"])

    def train_images(self) -> Tensor:
        """[B, 3, 32, 32]: the fixture's window and flip of each image, normalised."""
        given = self.fixture.files["preprocess"]
        names = ("crop_top", "crop_left", "flip")
        top, left, flip = (torch.from_numpy(given[name]) for name in names)
        images = crop_and_flip(self._raw(), self.options["padding"], top, left, flip.bool())
        return normalise(images, self.options["mean"], self.options["std"])

    def _raw(self) -> Tensor:
        return torch.from_numpy(self.fixture.files["preprocess"]["raw"]).permute(0, 3, 1, 2)


PARITY = CifarParity
