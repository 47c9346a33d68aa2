"""CIFAR-10 against its golden fixture: the names are the reference's, tolerances as measured."""

import torch
from torch import Tensor

from algoperf_pt.agreement import ABSOLUTE, Tolerance
from algoperf_pt.parity import Answer
from workloads.cifar.data import crop_and_flip
from workloads.image_classification.parity import RESIDUAL_TOLERANCES, ClassificationParity
from workloads.image_classification.pixels import normalise


class CifarParity(ClassificationParity):
    """Adds the two transforms of raw images."""

    tolerances = {
        **RESIDUAL_TOLERANCES,
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
