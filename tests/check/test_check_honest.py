"""Do unusual but honest submissions pass, without a warning?"""

from pathlib import Path

import pytest

from algoperf_pt.check.findings import CHECKS

HERE = Path(__file__).parent / "honest"
HONEST = ["line_search", "sam", "ema", "echo", "restarts", "two_optimizers", "accumulation"]
HONEST += ["second_order", "learned_schedule", "lbfgs"]


@pytest.mark.parametrize("name", HONEST)
def test_an_honest_submission_passes(name, checked):
    report = checked(HERE / f"{name}.py")
    assert report.findings == [] and report.worst == "pass"
    assert all(report.passed[check] for check in CHECKS)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_complete_check_of_an_honest_submission(checked):
    from algoperf_pt.check.runs import tiny_workloads

    report = checked(HERE / "ema.py", workloads=tuple(tiny_workloads()))
    assert report.findings == []
    assert report.passed["runs"] == "96 steps and 24 evaluations on 12 workloads"
