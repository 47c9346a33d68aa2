"""ImageNet's two families against their golden fixtures: pictures are drawn by recipe.

The fixture of imagenet_resnet also holds the preprocessing and the evaluation's sums of all eight.
"""

import re
from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import dropout, one_hot, scaled_dot_product_attention
from torch.overrides import TorchFunctionMode

from algoperf_pt.agreement import EACH, Array, Check, Tolerance
from algoperf_pt.golden import Fixture, recipe
from algoperf_pt.parity import Answer, Parity
from algoperf_pt.workload import Workload
from algoperf_pt.workload_data import Batch
from workloads.image_classification.metrics import classification_sums
from workloads.image_classification.parity import RESIDUAL_TOLERANCES, ClassificationParity
from workloads.imagenet.preprocess_parity import PreprocessParity
from workloads.imagenet.workload import ImagenetViT

_SHAPE = (4, 3, 224, 224)  # of the pictures of case0
_NOISE = 1e-6  # gradients that are zero in exact arithmetic are below it

# The reference's names of a ViT's tensors -> ours.
_NAMES = (
    (r"^conv_patch_extract\.", "patches."),
    (r"^encoder\.net\.", "blocks."),
    (r"^encoder\.encoder_norm\.", "norm."),
    (r"\.layer_norm0\.", ".norm1."),
    (r"\.layer_norm2\.", ".norm2."),
    (r"\.self_attention1\.", ".attention."),
    (r"\.mlp3\.", ".feed_forward."),
    (r"\.glu_linear\.", ".gate."),
    (r"^map\.", "pooling."),
    (r"\.mha\.q_proj\.", ".attention.query."),
    (r"\.mha\.kv_proj\.", ".attention.key_value."),
    (r"\.mha\.out_proj\.", ".attention.out."),
    (r"^pooling\.layer_norm\.", "pooling.norm."),
    (r"^pooling\.mlp\.", "pooling.feed_forward."),
)
_MAP_ROLES = {"query": "ATTENTION_Q", "key_value": "ATTENTION_KV", "out": "ATTENTION_OUT"}


class ImagenetParity(PreprocessParity, ClassificationParity):
    """What both families have: pictures, losses of mixed labels, another size, sums."""

    def answers(self) -> dict[str, Answer]:
        part = r"softloss_ls([01])_(nomask|mask)_(summed|n_valid|per_example)"
        own = {
            f"case0/{part}": self.mixed_loss,
            "case0/small_eval_logits": self.small_logits,
            "metrics/out_(no)?weights_accuracy_loss_sums": self.sums,
        }
        return super().answers() | own

    def batch(self) -> Batch:
        batch = {key: torch.from_numpy(self.fixture.case[key]) for key in ("targets", "weights")}
        return {"inputs": torch.from_numpy(recipe("imagenet/case0/inputs", _SHAPE)), **batch}

    def small_batch(self) -> Batch:
        """Two pictures that are not square."""
        shape = tuple(int(size) for size in self.fixture.case["small_shape"])
        return {"inputs": torch.from_numpy(recipe("imagenet/case0/small_inputs", shape))}

    @torch.no_grad()
    def small_logits(self) -> Tensor:
        """Outputs for them in evaluation mode: tells rows from columns."""
        logits: Tensor = self.fill().eval()(self.small_batch())
        return logits

    def mixed_loss(self, smoothing: str, mask: str, part: str) -> Tensor:
        """A field of the training loss when each picture's label is mixed with the one before."""
        batch, logits = self.batch(), self.eval_logits
        share = torch.from_numpy(np.asarray(self.fixture.case["mix_weight"]))
        labels = one_hot(batch["targets"], logits.shape[1]).float()
        batch["targets"] = share * labels + (1 - share) * labels.roll(1, 0)
        if mask == "nomask":
            del batch["weights"]
        value: Tensor = getattr(self.workload.loss(batch, logits, int(smoothing) / 10), part)
        return value

    def sums(self, without: str | None) -> Array:
        """float64 [2]: hits and loss of stored logits, with their weights or without."""
        given = self.fixture.files["metrics"]
        logits, labels, weights = (
            torch.from_numpy(given[key]) for key in ("logits", "labels", "weights")
        )
        weights = torch.ones_like(weights) if without else weights
        sums = classification_sums(logits, labels, weights).sums
        return np.array([float(sums["hits"]), float(sums["loss"])])


class ResNetParity(ImagenetParity):
    """The reference's names; tolerances as the fixture's README measured them."""

    tolerances = {
        **RESIDUAL_TOLERANCES,
        "metrics/*": Tolerance(1e-6),
        **PreprocessParity.tolerances,
    }
    unbounded = ("fc.weight",)  # a normal distribution that is not cut

    def answers(self) -> dict[str, Answer]:
        return super().answers() | {"case0/initbn_train_logits": self.first_logits}

    @torch.no_grad()
    def first_logits(self) -> Tensor:
        """Training pass with the norms as they start: tells the scales of the last ones."""
        self.workload.reset_parameters(torch.Generator().manual_seed(0))
        for entry in self.fixture.parameters:
            if entry["fill"].startswith("z/sqrt"):
                self.tensor(entry["name"]).copy_(self._filling[entry["name"]])
        logits: Tensor = self.workload.train()(self.batch())
        return logits

    @torch.no_grad()
    def tiny_train_logits(self) -> Tensor:
        """On a thousandth of the small pictures."""
        inputs = 1e-3 * self.small_batch()["inputs"]
        logits: Tensor = self.fill().train()({"inputs": inputs})
        return logits


class ViTParity(ImagenetParity):
    """Names of our own, and the places where values are dropped."""

    tolerances = {
        "case0/*_grad_l2": Tolerance(1e-3, EACH),
        "case0/*_n_valid": Tolerance(0.0),
        "case0/*logits": Tolerance(2e-5),
        "case0/*": Tolerance(1e-5),  # losses and sums
    }
    unbounded = ("*.bias",)  # normal distributions that are not cut

    def place(self, name: str) -> tuple[str, slice | None]:
        for pattern, ours in _NAMES:
            name = re.sub(pattern, ours, name)
        return name, None

    def role(self, entry: dict[str, Any]) -> str | None:
        """What is meant: the reference takes the attention of the pooling for plain layers."""
        *_, block, layer, tensor = ("", "", *self.place(entry["name"])[0].split("."))
        if entry["name"].startswith("map.") and block == "attention":
            return _MAP_ROLES[layer] if tensor == "weight" else "ATTENTION_BIAS"
        return super().role(entry)

    def _norm(self, expected: dict[str, Any]) -> Iterator[str]:
        """Layer norms call their affine flag by another name."""
        yield from super()._norm({**expected, "affine": None})
        norm = self.workload.model.get_submodule(self.module_name(expected["module"]))
        if norm.elementwise_affine != expected["affine"]:
            yield f"{expected['module']}.elementwise_affine is {norm.elementwise_affine}"

    @cached_property
    def trained(self) -> dict[str, Any]:
        """As the base class, but noise where both sides have nothing else: the gradients of the
        keys' biases are zero in exact arithmetic.
        """
        found = super().trained
        expected = self.fixture.case["train_grad_l2"]
        noise = (found["grad_l2"] < _NOISE) & (expected < _NOISE)
        return found | {"grad_l2": np.where(noise, expected, found["grad_l2"])}

    def more_checks(self) -> Iterator[Check]:
        yield from super().more_checks()
        expected = self.fixture.json("dropout.json")
        batch = {"inputs": torch.zeros(expected["input"])}
        found = dropout_sites(self.workload.train(), batch, expected["rate"])
        wanted = [(site["kind"], site["shape"], site["p"]) for site in expected["sites"]]
        note = next((f"{a}, not {b}" for a, b in zip(found, wanted) if a != b), "")
        yield self.compare("dropout/count", len(found), np.asarray(len(wanted)))
        yield self.compare("dropout/sites", int(found == wanted), np.asarray(1), note)
        active = len(dropout_sites(self.workload.eval(), batch, expected["rate"]))
        yield self.compare("dropout/active_in_eval", active, np.asarray(expected["active_in_eval"]))


Site = tuple[str, list[int], float]


class _Sites(TorchFunctionMode):
    """Notes where values are dropped: torch's function, or the probabilities in its attention."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[Site] = []

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if func is dropout and kwargs.get("training", args[2] if len(args) > 2 else True):
            self._note(list(args[0].shape), kwargs.get("p", args[1] if len(args) > 1 else 0.5))
        elif func is scaled_dot_product_attention:
            shape = [*args[0].shape[:-1], args[1].shape[-2]]
            self._note(shape, kwargs.get("dropout_p", args[4] if len(args) > 4 else 0.0))
        return func(*args, **kwargs)

    def _note(self, shape: list[int], rate: float) -> None:
        if rate > 0.0:
            self.found.append(("elementwise", shape, rate))


@torch.no_grad()
def dropout_sites(workload: Workload, batch: Batch, rate: float) -> list[Site]:
    """(kind, shape, rate) of every dropout in a forward pass, in the order of the calls."""
    with _Sites() as sites:
        workload(batch, dropout_rate=rate)
    return sites.found


def imagenet_parity(
    fixture: Fixture,
    workload: Workload,
    options: dict[str, Any],
    overrides: dict[str, float] | None = None,
) -> Parity:
    """The comparison of the workload's family."""
    kind = ViTParity if isinstance(workload, ImagenetViT) else ResNetParity
    return kind(fixture, workload, options, overrides)


PARITY = imagenet_parity
