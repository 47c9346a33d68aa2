"""Do whole submissions, composed from their YAML, train as their published runs did?"""

import pytest

from tests.optimizers import problem
from tests.optimizers.golden_submission import run_case

LIMIT = 1e-5  # relative to the largest value of a tensor, after 20 steps in single precision

CASES = {
    "sub_nadamw": "nadamw",
    "sub_adamw": "adamw",
    "sub_heavy_ball": "heavy_ball",
    "sub_nesterov": "nesterov",
    "baseline_external_point0": "nadamw",
    "baseline_external_point3": "nadamw",
}


@pytest.mark.parametrize("case", CASES)
def test_golden(case: str) -> None:
    error = problem.largest_error(case, run_case(case, CASES[case]))
    print(f"{case}: largest relative error {error:.1e}")
    assert error < LIMIT


def test_golden_with_clipping() -> None:
    clip = {"grad_clip": "submission.grad_clip"}
    found = run_case("sub_nadamw_clip", "nadamw", clip)
    assert problem.largest_error("sub_nadamw_clip", found) < LIMIT
