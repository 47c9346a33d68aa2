"""Does Muon compute what was published, and does its Newton-Schulz make matrices orthogonal?"""

import json
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from algoperf_pt.assemble import make_workload
from algoperf_pt.config import compose_config
from algoperf_pt.instantiate import instantiate
from algoperf_pt.spec import make_spec
from optimizers import muon
from optimizers.muon import Muon, newton_schulz
from optimizers.nadamw import NAdamW
from tests.optimizers import problem
from tests.optimizers.golden_submission import Run, run_case
from tests.support.workloads import version_of

SINGLE = 1e-4  # relative to the largest value of a tensor, after 20 steps
FIRST_IN_BF16 = 5e-4  # after the first step; later ones are chaotic in bfloat16
SETTINGS = ("lr", "beta", "weight_decay", "nesterov", "ns_steps", "ns_eps")


class Both(torch.optim.SGD):
    """Muon for matrices and, if it has settings, NAdamW for vectors."""

    def __init__(self, params: Any, muon: dict[str, Any], nadamw: dict[str, Any] | None) -> None:
        params = list(params)
        super().__init__(params, lr=0.0)
        self.param_groups[0]["lr"] = muon["lr"]
        self.parts: list[Any] = [Muon([p for p in params if p.dim() > 1], **muon)]
        if nadamw:
            self.parts.append(NAdamW([p for p in params if p.dim() < 2], **nadamw))

    def step(self, closure: Any = None) -> None:
        for part in self.parts:
            part.step()


def first_step(case: str, found: dict[str, np.ndarray]) -> float:
    """Largest relative error of the parameters after one step."""
    with np.load(problem.GOLDEN / "optimizers.npz", allow_pickle=False) as golden:
        keys = [key for key in golden.files if key.startswith(f"{case}/step1/")]
        pairs = [(found[key.removeprefix(f"{case}/")], golden[key]) for key in keys]
    assert pairs
    return float(max(np.abs(a - b).max() / np.abs(b).max() for a, b in pairs))


def trained(case: str, **changes: Any) -> dict[str, np.ndarray]:
    kwargs = problem.meta()[case]["kwargs"]
    settings = {key: kwargs[key] for key in SETTINGS} | {"scale": kwargs["adjust_lr"]} | changes
    return problem.train(lambda params: Both(params, settings, None))


@pytest.mark.parametrize("case", ("raw_muon_fp32", "raw_muon_adam_fp32", "raw_muon_plain_fp32"))
def test_golden_in_single_precision(case: str) -> None:
    error = problem.largest_error(case, trained(case, ns_dtype="float32"))
    print(f"{case}: largest relative error {error:.1e}")
    assert error < SINGLE


@pytest.mark.parametrize("case", ("raw_muon", "raw_muon_adam", "raw_muon_plain"))
def test_golden_first_step_in_bfloat16(case: str) -> None:
    found = trained(case)
    errors = (first_step(case, found), problem.largest_error(case, found))
    print(f"{case}: largest relative error {errors[0]:.1e} after one step, {errors[1]:.1e} in all")
    assert errors[0] < FIRST_IN_BF16


@pytest.mark.parametrize("case", ("raw_muon_jax", "raw_muon_jax_nesterov"))
def test_golden_jax_form(case: str) -> None:
    kwargs = problem.meta()[case]["kwargs"]
    settings = {
        "lr": kwargs["lr"] * kwargs["muon_lr_multiplier"],
        "beta": kwargs["muon_beta"],
        "weight_decay": kwargs["muon_weight_decay"],
        "nesterov": kwargs["nesterov"],
        "scale": "in_out",
        "ns_dtype": "float32",
    }
    pair = kwargs["pair"]
    others = {"lr": kwargs["lr"], "betas": (pair["b1"], pair["b2"]), "eps": pair["eps"]}
    others["weight_decay"] = pair["weight_decay"]
    found = problem.train(lambda params: Both(params, settings, others))
    found["lr"] = found["lr"] / kwargs["muon_lr_multiplier"]
    error = problem.largest_error(case, found)
    print(f"{case}: largest relative error {error:.1e}")
    assert error < SINGLE


@pytest.mark.parametrize(
    ("case", "name"),
    (("muon_torch_hps", "muon_torch_self"), ("muon_jax_hps_new_torch", "muon_jax_self")),
)
def test_golden_submission(case: str, name: str) -> None:
    found = run_case(case, name)
    with np.load(problem.GOLDEN / "optimizers.npz", allow_pickle=False) as golden:
        np.testing.assert_allclose(found["lr"], golden[f"{case}/lr"], rtol=1e-12)
    errors = (first_step(case, found), problem.largest_error(case, found))
    print(f"{case}: largest relative error {errors[0]:.1e} after one step, {errors[1]:.1e} in all")
    assert errors[0] < FIRST_IN_BF16


@pytest.mark.parametrize("name", ("muon_torch_self", "muon_jax_self", "muon_nadamw_self"))
def test_matrices_to_muon_vectors_to_the_other(name: str) -> None:
    trial = Run(name)
    main, other = trial.submission.updates  # type: ignore[attr-defined]
    assert {p.dim() for p in main.optimizer.param_groups[0]["params"]} == {2, 4}
    assert {p.dim() for p in other.optimizer.param_groups[0]["params"]} == {1}
    before = trial.parameters()
    for _ in range(3):  # a warm-up starts at next to nothing
        trial.step()
    assert all(not np.array_equal(before[n], value) for n, value in trial.parameters().items())


def test_the_published_one_ends_at_the_step_hint() -> None:
    trial = Run("muon_torch_self", step_hint=3)
    done = []
    for _ in range(3):
        trial.step()
        done.append(trial.submission.done)
    assert done == [False, False, True]


@pytest.mark.parametrize("shape", ((1, 4, 9), (2, 9, 4), (1, 1, 5), (3, 6, 6)))
def test_newton_schulz_against_its_singular_values(shape: tuple[int, int, int]) -> None:
    """The polynomial acts on the singular values alone, and brings them close to 1."""
    batch = torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    found = newton_schulz(batch)
    for matrix, result in zip(batch, found):
        u, s, v = torch.linalg.svd(matrix, full_matrices=False)
        s = s / (matrix.norm() + 1e-7)
        for _ in range(5):
            s = 3.4445 * s - 4.7750 * s**3 + 2.0315 * s**5
        torch.testing.assert_close(result, (u * s) @ v)
        assert (s > 0.3).all() and (s < 1.3).all()


def test_matrices_of_one_shape_are_done_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch changes nothing, nor does cutting it; a kernel is the matrix of its first side."""
    generator = torch.Generator().manual_seed(0)
    shapes = ((6, 4), (6, 2, 2), (3, 5), (6, 4))
    made = [torch.randn(shape, generator=generator) for shape in shapes]
    batches: list[int] = []

    def counted(batch: Tensor, *arguments: Any) -> Tensor:
        batches.append(len(batch))
        return newton_schulz(batch, *arguments)

    monkeypatch.setattr(muon, "newton_schulz", counted)
    group = {"ns_steps": 5, "ns_eps": 1e-7, "ns_dtype": "float32"}
    together = muon.orthogonal(made, group)
    assert sorted(batches) == [1, 3]
    monkeypatch.setattr(muon, "_TOGETHER", 48)  # two of 24 elements
    batches.clear()
    parted = muon.orthogonal(made, group)
    assert sorted(batches) == [1, 1, 2]
    monkeypatch.setattr(muon, "_SMALL", 20)
    batches.clear()
    muon.orthogonal(made, group)
    assert sorted(batches) == [1, 1, 1, 1]
    for tensor, a, b in zip(made, together, parted):
        torch.testing.assert_close(a, b)
        torch.testing.assert_close(a, newton_schulz(tensor.flatten(1)[None])[0])


def test_how_the_update_scales_with_the_shape() -> None:
    """For [d0, d1, kernel]: sqrt(d0 / d1), at least 1; 0.2 of the longer; columns over rows."""
    shape = (8, 2, 3)
    expected = {"spectral_norm": 2.0, "match_adam": 0.2 * 8**0.5, "in_out": 1.0, None: 1.0}
    for scale, factor in expected.items():
        p = torch.zeros(shape, requires_grad=True)
        p.grad = torch.randn(shape, generator=torch.Generator().manual_seed(2))
        direction = newton_schulz((p.grad * 0.1).flatten(1)[None])[0].view(shape)
        Muon([p], lr=1.0, beta=0.9, nesterov=False, scale=scale, ns_dtype="float32").step()
        torch.testing.assert_close(p.detach(), -factor * direction)
    assert muon.SCALES["in_out"]((2, 8)) == 2.0 and muon.SCALES["spectral_norm"]((2, 8)) == 1.0


def test_torchs_own_is_another_rule() -> None:
    """It refuses kernels, which the published runs trained with Muon."""
    with pytest.raises(ValueError, match="2D"):
        torch.optim.Muon([torch.nn.Parameter(torch.ones(4, 2, 3, 3))])


@pytest.mark.parametrize(
    ("changes", "message"),
    (
        ({"beta": 1.0}, r"betas\[0\] = 1.0, expected a number"),
        ({"scale": "adam"}, "scale = 'adam', expected one of 'spectral_norm'"),
        ({"ns_steps": 0}, "ns_steps = 0, expected at least 1"),
        ({"ns_dtype": "float16"}, "ns_dtype = 'float16', expected 'bfloat16'"),
        ({"ns_eps": -1.0}, "ns_eps = -1.0, expected"),
    ),
)
def test_bad_settings_are_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Muon([torch.ones(2, 2, requires_grad=True)], **changes)


BASES = ("criteo1tb", "fastmri", "finewebedu_lm", "imagenet_resnet", "imagenet_vit", "ogbg", "wmt")
BASES += ("librispeech_conformer", "librispeech_deepspeech")


@pytest.mark.parametrize("name", BASES)
def test_the_split_by_role_is_the_published_one_by_name(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """But for ogbg's two embedders, whose names lack the word that the published code looks for."""
    monkeypatch.setattr("algoperf_pt.config_checks._check_data", lambda config: None)
    folder = problem.GOLDEN / name
    tensors = json.loads((folder / "params.json").read_text())["tensors"]
    matrices = [t for t in tensors if t["kind"] == "param" and len(t["shape"]) > 1]
    words = ("embedding", "embed_tokens")
    by_name = [t["shape"] for t in matrices if not any(w in t["name"].lower() for w in words)]
    command = [f"workload={name}", f"targets={version_of(name)}"]
    config = compose_config([*command, "submission=muon_torch_self", "ruleset=self_tuning"])
    with torch.device("meta"):
        workload = make_workload(config, make_spec(config), SimpleNamespace())  # type: ignore
    where = instantiate(config["submission"]["others"][0]["where"])
    named = workload.model.named_parameters()
    by_role = [list(p.shape) for n, p in named if not where(n, p, workload.param_types[n])]
    if name == "ogbg":
        by_role += [[256, 9], [256, 3]]
    assert sorted(by_role) == sorted(by_name)
