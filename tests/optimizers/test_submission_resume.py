"""Does every submission resume to the last bit, and is an evaluation without trace?"""

import io
from typing import Any

import pytest
import torch

from tests.optimizers.golden_submission import FOLDER, Run
from tests.support.runs import assert_same

OPEN = ("custom", "algoperf", "target_")  # their class is the user's, or their point a workload's
NAMES = sorted(path.stem for path in FOLDER.glob("*.yaml") if not path.stem.startswith(OPEN))
SHORT = {
    "diloco_self": ("submission.options.period=3",),  # an outer step before the resume
    "restarts_self": ("submission.options.share=0.2",),  # the second attempt of four
}


def start(name: str) -> Run:
    """With a short horizon, so that averages have begun and rates decay."""
    return Run(name, step_hint=20, batch_norm=True, overrides=SHORT.get(name, ()))


def everything(trial: Run) -> dict[str, Any]:
    """State, and what would be judged."""
    trial.submission.prepare_for_eval(trial.view)
    judged = {name: p.detach().clone() for name, p in trial.view.named_parameters()}
    trial.submission.resume_training(trial.view)
    return {
        "judged": judged,
        "model": trial.workload.model.state_dict(),
        "submission": trial.submission.state_dict(),
        "rank": trial.submission.rank_state_dict(),
    }


def advance(trial: Run, steps: int, judged: bool = False) -> None:
    for _ in range(steps):
        trial.step()
        if judged:
            trial.submission.prepare_for_eval(trial.view)
            trial.submission.resume_training(trial.view)


def through_a_file(state: dict[str, Any]) -> dict[str, Any]:
    """As a checkpoint is written and read: tensors and plain values only."""
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    loaded: dict[str, Any] = torch.load(file, weights_only=True)
    return loaded


@pytest.mark.parametrize("name", NAMES)
def test_evaluations_and_a_resume_leave_no_trace(name: str) -> None:
    plain, judged, resumed = (start(name) for _ in range(3))
    advance(plain, 7)
    advance(judged, 7, judged=True)
    assert_same(everything(plain), everything(judged))
    saved = through_a_file(everything(judged))
    resumed.workload.model.load_state_dict(saved["model"])
    resumed.submission.load_state_dict(saved["submission"])
    resumed.submission.load_rank_state_dict(saved["rank"])
    resumed.step_number, resumed.batches = 7, judged.batches
    advance(plain, 5)
    advance(resumed, 5, judged=True)
    assert_same(everything(plain), everything(resumed))
