"""Do whole submissions, composed from their YAML, train as their published runs did?"""

import numpy as np
import pytest

from tests.optimizers import problem
from tests.optimizers.golden_submission import run, run_case

LIMIT = 1e-5  # relative to the largest value of a tensor, after 20 steps in single precision

CASES = {
    "sub_nadamw": "nadamw",
    "sub_adamw": "adamw",
    "sub_heavy_ball": "heavy_ball",
    "sub_nesterov": "nesterov",
    "baseline_external_point0": "nadamw",
    "baseline_external_point3": "nadamw",
    "baseline_self": "nadamw_self",
    "sub_sam": "sam",
    "target_nadamw": "target_nadamw",
    "target_adamw": "target_adamw",
    "target_momentum": "target_heavy_ball",
    "target_nesterov": "target_nesterov",
    "cyclic_lr_1": "cyclic_lr",
    "cyclic_lr_2": "cyclic_lr",
    "lion": "lion_self",
    "ademamix": "ademamix_self",
    "adamg": "adamg_self",
    "dev_mnist_adam": "dev_mnist_adam",
}


def check(case: str, found: dict[str, np.ndarray]) -> None:
    error = problem.largest_error(case, found)
    print(f"{case}: largest relative error {error:.1e}")
    assert error < LIMIT


@pytest.mark.parametrize("case", CASES)
def test_golden(case: str) -> None:
    check(case, run_case(case, CASES[case]))


def test_golden_with_clipping() -> None:
    clip = {"grad_clip": "submission.grad_clip"}
    check("sub_nadamw_clip", run_case("sub_nadamw_clip", "nadamw", clip))


@pytest.mark.parametrize("case, name", (("sub_lamb", "lamb"), ("sub_adafactor", "adafactor")))
def test_golden_of_files_that_had_to_be_mended(case: str, name: str) -> None:
    """They read hyperparameters that their spaces lack; the golden run was given both."""
    meta = problem.meta()[case]
    point = {**meta["hyperparameters"], "warmup_factor": 0.05}
    assert point.pop("beta1", 0.9) == 1 - point["one_minus_beta1"]
    assert point.pop("warmup_steps", 2) == int(0.05 * meta["step_hint"])
    check(case, run(name, point, meta["step_hint"]))


def test_golden_of_a_file_in_jax() -> None:
    """It kept no learning rates."""
    check("cautious_nadamw", run("cautious_nadamw_self", step_hint=150))
