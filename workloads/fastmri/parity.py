"""fastMRI against its golden fixtures: network, losses, SSIM, masks, and k-space to images.

Two cases share case0: full size, and `small_` with sizes that are odd on the way down.  Arrays of
full size are stored as their beginning, every 16th pixel, and [sum, sum of absolutes, std].
"""

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from algoperf_pt.agreement import ABSOLUTE, EACH, Array, Check, Tolerance
from algoperf_pt.golden import recipe
from algoperf_pt.parity import Answer, Parity, norm
from algoperf_pt.workload import Workload
from algoperf_pt.workload_data import Batch
from workloads.fastmri.kspace import image_of, normalised
from workloads.fastmri.masks import MaskRule, uniform
from workloads.fastmri.ssim import slice_ssim, ssim, window_means

_FULL = (2, 320, 320)
_ROWS, _RADIUS, _SCALE = 640, 400, 1e-4  # of the made-up k-space
_EVAL_SEED = np.zeros((1, 2), np.int64)


class FastmriParity(Parity):
    """Adds stored parts of images, SSIM, masks, preprocessing and the places of dropout."""

    tolerances = {
        "case0/*grad_l2": Tolerance(5e-3, EACH),  # 6e-4 between one thread and two
        "case0/*loss*n_valid": Tolerance(0.0, ABSOLUTE),
        "case0/*loss*": Tolerance(1e-5, EACH),
        "*_sum_abssum_std": Tolerance(1e-5, ABSOLUTE),  # sums divided by their length
        "case0/*": Tolerance(2e-5),  # outputs
        "metrics/*": Tolerance(1e-5, ABSOLUTE),
        "preprocess/*_volume_max": Tolerance(0.0, ABSOLUTE),
        "preprocess/*_out_mean": Tolerance(1e-6, EACH),
        "preprocess/*_out_std": Tolerance(1e-6, EACH),
        "preprocess/*_out_*": Tolerance(1e-5, ABSOLUTE),
    }

    def answers(self) -> dict[str, Answer]:
        parts = r"loss_ls([01])_(nomask|mask)_(summed|n_valid|per_example)"
        stored = "(first2000|sum_abssum_std|s16)"
        return {
            "case0/(small_|tiny_)eval_out": self.outputs,
            f"case0/eval_out_{stored}": lambda part: _stored(self.outputs(""), part),
            f"case0/(small_)?{parts}": self.mean_absolute,
            "case0/(small_)train_logits": lambda case: self.pass_of(case)["logits"],
            f"case0/train_logits_{stored}": lambda p: _stored(self.pass_of("")["logits"], p),
            "case0/(small_)?train_(loss|grad_l2)": lambda c, part: self.pass_of(c or "")[part],
            "metrics/ssim_out(|_defaults|_self)": self.small_ssim,
            "metrics/structural_similarity_dr3": self.similarity,
            "metrics/uniform_filter_out": self.filtered,
            "metrics/full_ssim_out": self.full_ssim,
            "metrics/eval_batch_(noweights_)?ssim_loss_sums": self.evaluated,
            "preprocess/uniform_(eval|s57)": self.random,
            "preprocess/eval_masks": self.masks,
            r"preprocess/((?:small|full)\d)_out_(inputs|targets|mean|std|volume_max)": self.slice,
            rf"preprocess/(full\d)_out_(inputs|targets)_{stored}": self.slice,
        }

    def compare(self, key: str, found: Any, expected: Array, note: str = "") -> Check:
        if key.endswith("_sum_abssum_std"):  # sums as means: deviations of a pixel
            count = np.prod(_FULL) if key.startswith("case0") else np.prod(_FULL[1:])
            scale = np.array([count, count, 1.0])
            found, expected = np.asarray(found) / scale, expected / scale
        return super().compare(key, found, expected, note)

    def role(self, entry: dict[str, Any]) -> str | None:
        """What is meant: the reference takes the scales of group norms for weights of
        convolutions, by their names.
        """
        module, _, tensor = entry["name"].rpartition(".")
        if isinstance(self.workload.model.get_submodule(module), nn.GroupNorm):
            return "LAYER_NORM_SCALE" if tensor == "weight" else "LAYER_NORM_BIAS"
        return super().role(entry)

    # ---- the network

    def case_batch(self, case: str) -> Batch:
        """Inputs and targets by their recipes, with the mask as weights."""
        shape = _FULL if case == "" else tuple(map(int, self.fixture.case["small_shape"]))
        prefix = "fastmri/case0/" + ("" if case == "" else "small_")
        batch = {n: torch.from_numpy(recipe(prefix + n, shape)) for n in ("inputs", "targets")}
        if case == "tiny_":
            batch["inputs"] *= 1e-3  # near the eps of the norms
        return batch | {"weights": torch.from_numpy(self.fixture.case["weights"])}

    @cache
    def outputs(self, case: str) -> Tensor:
        """In evaluation mode."""
        with torch.no_grad():
            outputs: Tensor = self.fill().eval()(self.case_batch(case))
        return outputs

    def mean_absolute(self, case: str | None, smoothing: str, mask: str, part: str) -> Any:
        """A field of the loss of the evaluation outputs."""
        batch = self.case_batch(case or "")
        if mask == "nomask":
            del batch["weights"]
        loss = self.workload.loss(batch, self.outputs(case or ""), int(smoothing) / 10)
        return getattr(loss, part)

    @cache
    def pass_of(self, case: str) -> dict[str, Any]:
        """Outputs, mean loss and gradient norms of a training pass without dropout."""
        workload, batch = self.fill().train(), self.case_batch(case)
        del batch["weights"]
        workload.zero_grad()
        outputs = workload(batch, dropout_rate=0.0)
        loss = workload.loss(batch, outputs)
        mean = loss.summed / loss.n_valid
        torch.autograd.backward(mean)
        gradients = (self.tensor(entry["name"]).grad for entry in self.fixture.parameters)
        norms = np.array([norm(gradient) for gradient in gradients])
        return {"logits": outputs.detach(), "loss": mean.detach(), "grad_l2": norms}

    def more_checks(self) -> Iterator[Check]:
        """The places of dropout, in the order of their calls."""
        expected = self.fixture.json("dropout.json")
        rate, wanted = expected["rate"], expected["sites"]
        batch = {"inputs": self.case_batch("")["inputs"][:1]}
        found = _dropouts(self.fill().train(), batch, rate)
        differ = [f"site {i}" for i, (a, b) in enumerate(zip(found, wanted)) if a != b]
        yield self.compare("dropout/sites", len(found), np.asarray(len(wanted)))
        yield self.compare("dropout/kinds", len(differ), np.asarray(0), "; ".join(differ))
        active = len(_dropouts(self.workload.eval(), batch, rate))
        yield self.compare("dropout/in_eval", active, np.asarray(expected["active_in_eval"]))

    # ---- SSIM

    def _metric(self, name: str) -> Tensor:
        return torch.from_numpy(np.asarray(self.fixture.files["metrics"][name]))

    def small_ssim(self, kind: str) -> Tensor:
        """Three images, with their own mean, std and range, or without, or against themselves."""
        outputs, targets = self._metric("ssim_logits"), self._metric("ssim_targets")
        scale = [self._metric(f"ssim_{name}") for name in ("mean", "std", "volume_max")]
        if kind == "_defaults":
            scale = [torch.full_like(scale[0], value) for value in (0.0, 1.0, 1.0)]
        return slice_ssim(targets if kind == "_self" else outputs, targets, *scale)

    def similarity(self) -> Tensor:
        """Of one image, with a range of 3."""
        pair = (self._metric(name)[:1] for name in ("ssim_logits", "ssim_targets"))
        return ssim(*pair, torch.tensor([3.0]))[0]

    def filtered(self) -> Tensor:
        """Means over windows of an image that is mirrored at its borders."""
        image = self.fixture.files["metrics"]["uniform_filter_in"]
        return window_means(torch.from_numpy(np.pad(image, 3, mode="symmetric"))[None])[0]

    def full_ssim(self) -> Tensor:
        """Two images of full size."""
        batch = self.case_batch("")
        outputs = 0.8 * batch["targets"].double() + 0.2 * batch["inputs"].double()
        scale = (self._metric(f"full_{name}") for name in ("mean", "std", "volume_max"))
        return slice_ssim(outputs.float(), batch["targets"], *scale)

    def evaluated(self, unweighted: str | None) -> Array:
        """[SSIM, loss] as an evaluation step adds them up, from given outputs of the network."""
        names = ("targets", "mean", "std", "volume_max")
        batch = {name: self._metric(f"ssim_{name}") for name in names}
        weights = self._metric("eval_batch_weights")
        batch["weights"] = torch.ones_like(weights) if unweighted else weights
        network = self.workload.model_forward
        self.workload.model_forward = lambda _: self._metric("ssim_logits")  # type: ignore
        try:
            sums = self.workload.eval_step(batch).sums
        finally:
            self.workload.model_forward = network  # type: ignore[method-assign]
        return np.array([float(sums["ssim"]), float(sums["loss"])])

    # ---- from k-space to images

    @property
    def rule(self) -> MaskRule:
        """As conf/workload has it."""
        return MaskRule(self.options["center_fraction"], self.options["acceleration"])

    def random(self, name: str) -> Array:
        """Uniform numbers of a seed."""
        given = self.fixture.files["preprocess"]
        return uniform(given[f"uniform_seed_{name}"][None], len(given[f"uniform_{name}"]))[0]

    def masks(self) -> Array:
        """Masks of evaluations by their widths, eight columns a byte."""
        widths = self.fixture.files["preprocess"]["mask_widths"]
        columns = 8 * self.fixture.files["preprocess"]["eval_masks"].shape[1]
        return np.packbits(self.rule.kept(widths, uniform(_EVAL_SEED, columns)), axis=1)

    def slice(self, name: str, part: str, stored: str | None = None) -> Any:
        """What becomes of a slice."""
        values = self._processed(name)[part]
        return values if stored is None else _stored(values, stored)

    @cache
    def _processed(self, name: str) -> dict[str, Array]:
        kspace, target, seed = self._small(name) if name[:5] == "small" else self._full(name)
        width = kspace.shape[1]
        kept = self.rule.kept(np.array([width]), uniform(seed[None], width))[0]
        image = image_of(kspace, kept, *target.shape)
        made = normalised(image[None], torch.from_numpy(target)[None], self.options["clip"])
        return {key: value[0].numpy() for key, value in made.items()} | {
            "volume_max": np.asarray(target.max())
        }

    def _small(self, name: str) -> tuple[Array, Array, Array]:
        given = self.fixture.files["preprocess"]
        kspace, target, seed = (given[f"{name}_{part}"] for part in ("kspace", "target", "seed"))
        return kspace, target, seed

    def _full(self, name: str) -> tuple[Array, Array, Array]:
        width = int(self.fixture.files["preprocess"][f"{name}_width"])
        prefix = f"fastmri/case0/{name}"
        shape = (_ROWS, width)
        drawn = recipe(f"{prefix}/re", shape) + 1j * recipe(f"{prefix}/im", shape).astype(float)
        row, column = np.ogrid[:_ROWS, :width]
        distance = (row - _ROWS // 2) ** 2 + (column - width // 2) ** 2
        kspace = drawn / (1 + distance / _RADIUS) * _SCALE
        target = np.abs(recipe(f"{prefix}/target", _FULL[1:])) * np.float32(_SCALE)
        return kspace.astype(np.complex64), target, _EVAL_SEED[0]


def _stored(values: Any, part: str) -> Array:
    """What a fixture keeps of a large array."""
    array = np.asarray(values)
    if part == "first2000":
        return array.ravel()[:2000]
    if part == "s16":
        return array[..., ::16, ::16]
    wide = array.astype(np.float64)
    return np.array([wide.sum(), np.abs(wide).sum(), wide.std()])


def _dropouts(workload: Workload, batch: Batch, rate: float) -> list[dict[str, Any]]:
    """kind, shape and p of every dropout that changes something, in the order of the calls."""
    found: list[dict[str, Any]] = []

    def note(module: nn.Module, inputs: tuple[Tensor], output: Tensor) -> None:
        if not torch.equal(inputs[0], output):
            found.append({"kind": _kind(*inputs, output), "shape": [*output.shape], "p": module.p})

    every = (m for m in workload.model.modules() if isinstance(m, nn.modules.dropout._DropoutNd))
    hooks: list[Any] = [module.register_forward_hook(note) for module in every]
    try:
        with torch.no_grad():
            torch.manual_seed(0)
            workload(batch, dropout_rate=rate)
    finally:
        for hook in hooks:
            hook.remove()
    return found


def _kind(before: Tensor, after: Tensor) -> str:
    dropped = (after == 0) & (before != 0)
    whole = dropped.flatten(2).all(2) | ~dropped.flatten(2).any(2)
    return "whole_channel" if bool(whole.all()) else "elementwise"


PARITY: Callable[..., Parity] = FastmriParity
