"""Does SAM take its gradient at the right point, and keep everything else as it was?"""

import numpy as np
import pytest
import torch

from algoperf_pt.errors import SubmissionError
from tests.optimizers.golden_submission import Run
from tests.support.runs import assert_same, rows, run_command, run_inside

RHO = "submission.hparams.rho=0.05"


def passes(trial: Run) -> list[list[torch.Tensor]]:
    """The parameters at each forward pass, filled while `trial` steps."""
    seen: list[list[torch.Tensor]] = []
    model = trial.workload.model
    model.register_forward_pre_hook(
        lambda *_: seen.append([p.detach().clone() for p in model.parameters()])
    )
    return seen


def distance(a: list[torch.Tensor], b: list[torch.Tensor]) -> float:
    return torch.cat([(x - y).flatten() for x, y in zip(a, b)]).norm().item()


def test_the_second_pass_is_rho_away_and_uphill() -> None:
    trial = Run("sam", overrides=(RHO,))
    seen = passes(trial)
    for _ in range(3):
        trial.step()
    losses = trial.workload.losses
    for first, second in ((0, 1), (2, 3), (4, 5)):
        assert distance(seen[first], seen[second]) == pytest.approx(0.05, rel=1e-5)
        assert losses[second] > losses[first]


def test_it_steps_from_where_it_was() -> None:
    """A step of length 0 leaves the parameters to the last bit."""
    trial = Run("sam", {"learning_rate": 0.0, "weight_decay": 0.0})
    start = trial.parameters()
    trial.step()
    for name, value in trial.parameters().items():
        assert np.array_equal(value, start[name])


def test_only_the_second_gradient_is_clipped() -> None:
    trial = Run("sam", overrides=(RHO, "submission.grad_clip=1.0e-3"))
    seen = passes(trial)
    metrics = trial.step()
    assert distance(*seen) == pytest.approx(0.05, rel=1e-5) and metrics["grad_norm"] > 1e-2
    grads = [p.grad.flatten() for p in trial.workload.parameters() if p.grad is not None]
    assert torch.cat(grads).norm().item() == pytest.approx(1e-3, rel=1e-2)


def test_running_statistics_are_those_of_the_first_pass() -> None:
    sam, adamw = Run("sam", batch_norm=True), Run("adamw", batch_norm=True)
    sam.step()
    adamw.step()
    (a,), (b,) = sam.workload.statistics(), adamw.workload.statistics()
    assert torch.equal(a["running_mean"], b["running_mean"]) and a["running_mean"].any()
    assert torch.equal(a["running_var"], b["running_var"])


def test_no_gradient_no_way_up() -> None:
    trial = Run("sam")
    trial.workload.loss = no_loss(trial.workload.loss)  # type: ignore[method-assign]
    trial.step()
    assert all(np.isfinite(value).all() for value in trial.parameters().values())


def no_loss(loss):  # type: ignore[no-untyped-def]
    def zero(batch, logits, label_smoothing=0.0):  # type: ignore[no-untyped-def]
        return loss(batch, logits * 0.0, label_smoothing)

    return zero


@pytest.mark.parametrize("inner", ("torch.optim.AdamW", "optimizers.lion.Lion"))
def test_it_resumes_with_the_state_of_the_optimizer_inside(inner: str) -> None:
    """The published file forgot Adam's moments.  Any optimizer serves."""
    options = (f"submission.optimizer._target_={inner}",)
    whole, first, second = (Run("sam", overrides=options) for _ in range(3))
    for _ in range(8):
        whole.step()
    for _ in range(4):
        first.step()
    second.workload.load_state_dict(first.workload.state_dict())
    second.submission.load_state_dict(first.submission.state_dict())
    second.step_number = 4
    for _ in range(4):
        next(second.batches)
    for _ in range(4):
        second.step()
    assert_same(whole.submission.state_dict(), second.submission.state_dict())
    assert_same(dict(whole.workload.state_dict()), dict(second.workload.state_dict()))


def test_an_optimizer_with_a_closure_gets_the_second_gradient() -> None:
    trial = Run("sam", overrides=("submission.optimizer._target_=torch.optim.LBFGS", RHO))
    seen = passes(trial)
    trial.step()
    assert len(seen) >= 2 and distance(seen[0], seen[1]) == pytest.approx(0.05, rel=1e-5)


def test_a_distance_of_nothing_is_refused() -> None:
    with pytest.raises(SubmissionError, match="rho = 0"):
        Run("sam", {"rho": 0.0})


@pytest.mark.ddp
def test_two_ranks_equal_one(data, tmp_path) -> None:  # type: ignore[no-untyped-def]
    """Both passes average over ranks, so both ranks climb the same way."""
    steps = ("submission=sam", "max_steps=20", "eval_every_steps=10", "logger.first=20", RHO)
    _, one = run_inside(data, tmp_path / "one", *steps)
    done = run_command(data, tmp_path / "two", *steps, "trainer.devices=2")
    assert done.returncode == 11, done.stderr
    two = tmp_path / "two" / "sam/study_0/digits/trial_1"
    lines = [rows(folder, "measurements.csv") for folder in (one, two)]
    losses = [[float(row["loss"]) for row in part if row["loss"]] for part in lines]
    assert len(losses[0]) == 20 and losses[1] == pytest.approx(losses[0], rel=1e-5)
