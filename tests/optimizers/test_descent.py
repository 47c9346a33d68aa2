"""Does every algorithm descend on every kind of model?  Each submission on each tiny workload: a
few steps on one small batch must bring that batch's loss down, at the rate of its default point or,
as some of these points are meant for models of another size, at a fraction of it.
"""

import functools
from typing import Any

import pytest
import torch

from algoperf_pt.bench import find_bench
from algoperf_pt.bench_steps import TrainingStep
from algoperf_pt.config import compose_config
from algoperf_pt.workload_data import Batch
from scripts.choices import command, ready_submissions, tiny_workloads
from tests.support.workloads import version_of

STEPS, HORIZON, ROWS = 12, 40, 4
FRACTIONS = (1.0, 1e-2, 1e-4)  # of the rate
# decompositions of a table of 4096 rows take a minute
MORE = {"soap": ("submission.optimizer.max_preconditioner_dim=1024",)}
SETTINGS = ("trainer=cpu", "trainer.threads=1", "trainer.compile=false")


@functools.cache
def composed(workload: str, submission: str = "nadamw") -> dict[str, Any]:
    hint = f"targets.workloads.{workload}.step_hint={HORIZON}"
    targets = f"targets={version_of(workload)}"
    more = MORE.get(submission, ())
    overrides = [*command(workload, submission), *SETTINGS, targets, hint, *more]
    return compose_config(overrides, needs_data=False)


@torch.no_grad()
def loss(step: TrainingStep, batch: Batch) -> float:
    """The mean loss, without dropout."""
    logits = step.workload(batch, dropout_rate=0.0, update_batch_norm=False)
    found = step.workload.loss(batch, logits)
    return (found.summed / found.n_valid).item()


def share_left(workload: str, submission: str, fraction: float) -> float:
    """Loss after the steps over that before them, at a fraction of the submission's rate."""
    chosen = composed("digits", submission)["submission"]  # composed once for all workloads
    config = {**composed(workload), "submission": chosen}
    bench = find_bench(config)
    batch = bench.train_batch(ROWS, torch.Generator().manual_seed(0))
    step = TrainingStep(config, bench.stand_in())
    for update in step._submission.updates:  # type: ignore[attr-defined]
        update._peaks = [peak * fraction for peak in update._peaks]
        for group in update.optimizer.param_groups:
            group["lr"] *= fraction
    _leave_zero(step)
    before = loss(step, batch)
    for _ in range(STEPS):
        step(batch)
    return loss(step, batch) / before


@torch.no_grad()
def _leave_zero(step: TrainingStep) -> None:
    """LAMB's steps are as long as the tensor, so one that begins at 0 takes long to leave it."""
    for p in step.workload.parameters():
        if not p.any():
            p.normal_(0.0, 1e-2, generator=torch.Generator().manual_seed(0))


def descends(workload: str, submission: str) -> bool:
    return any(share_left(workload, submission, fraction) < 1.0 for fraction in FRACTIONS)


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize("workload", tiny_workloads())
def test_every_algorithm_descends(workload: str) -> None:
    assert not [name for name in ready_submissions() if not descends(workload, name)]


def test_an_ascent_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    backward = torch.Tensor.backward
    monkeypatch.setattr(torch.Tensor, "backward", lambda loss: backward(-loss))
    assert not descends("digits", "nadamw")
