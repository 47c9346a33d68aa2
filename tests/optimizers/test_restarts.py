"""Does tuning on the clock choose the best rate, forget the others, and resume in any attempt?"""

import math

import numpy as np
import pytest
import torch

from algoperf_pt.errors import SubmissionError
from optimizers.restarts import Restarts
from tests.optimizers.golden_submission import Run, assert_resumes
from tests.support.runs import assert_same

NAME = "restarts_self"
HINT, LENGTH = 40, 4  # steps
SGD = "submission.optimizer={_target_: torch.optim.SGD}"


def start(rates: str = "[0.001, 0.01, 0.003]", *words: str) -> Run:
    options = (f"submission.options.rates={rates}", f"submission.options.share={LENGTH / HINT}")
    return Run(NAME, step_hint=HINT, batch_norm=True, overrides=(*options, *words))


def run(trial: Run, steps: int) -> list[dict]:  # type: ignore[type-arg]
    return [trial.step() for _ in range(steps)]


def single(rate: str, skipped: int, steps: int) -> tuple[Run, list[float]]:
    """A training at one rate on the batches from `skipped` on, and its losses."""
    trial = start(f"[{rate}]")
    for _ in range(skipped):
        next(trial.batches)
    return trial, [float(m["loss"]) for m in run(trial, steps)]


def test_every_attempt_is_a_training_of_its_own() -> None:
    found = run(start(), 3 * LENGTH)
    assert [m["attempt"] for m in found] == [0] * 4 + [1] * 4 + [2] * 4
    for number, rate in enumerate(("0.001", "0.01", "0.003")):
        part = [float(m["loss"]) for m in found[number * LENGTH :][:LENGTH]]
        assert part == single(rate, number * LENGTH, LENGTH)[1]


def test_the_best_goes_on_where_it_was() -> None:
    trial = start()
    found = run(trial, 3 * LENGTH)
    tails = [np.mean([float(m["loss"]) for m in found[n * 4 + 2 : n * 4 + 4]]) for n in range(3)]
    best = int(np.argmin(tails))
    alone, _ = single(("0.001", "0.01", "0.003")[best], best * LENGTH, LENGTH)
    for _ in range((2 - best) * LENGTH):
        next(alone.batches)
    later = run(trial, 10)
    assert all("attempt" not in metrics for metrics in later)
    for ours, theirs in zip(later, run(alone, 10), strict=True):
        assert float(ours["loss"]) == float(theirs["loss"]) and ours["lr"] == theirs["lr"]
    assert_same(trial.workload.model.state_dict(), alone.workload.model.state_dict())


@pytest.mark.parametrize("rates", ([1e-6, 0.02, 1e-6], [0.02, 1e-6], [1e-6, 0.02]))
def test_the_place_in_the_list_does_not_matter(rates: list[float]) -> None:
    trial = start(str(rates), "submission.options.share=0.5")
    run(trial, 20 * len(rates) + 1)
    assert trial.submission._attempt == rates.index(0.02)  # type: ignore[attr-defined]


@pytest.mark.parametrize("rates", ([1e30, 0.05], [0.05, 1e30], [1e30, 0.05, 1e30]))
def test_a_diverged_attempt_is_left_at_once(rates: list[float]) -> None:
    trial = start(str(rates), SGD)
    found = run(trial, 14)
    assert all(math.isfinite(m["loss"]) for m in found if "loss" in m)
    left = [m["attempt"] for m in found if "loss" not in m]
    assert left == [n for n, rate in enumerate(rates) if rate == 1e30]
    attempts = [m.get("attempt") for m in found]
    assert attempts.index(None) < len(rates) * LENGTH  # steps were saved
    assert all(p.isfinite().all() for p in trial.workload.model.state_dict().values())
    rate = trial.submission.updates[0]._peaks[0]  # type: ignore[attr-defined]
    assert rate == 0.05


def test_a_trial_that_diverges_at_every_rate_ends() -> None:
    trial = start("[1e30, 1e31]", SGD)
    found = run(trial, 12)
    assert not math.isfinite(found[-1]["loss"])


@pytest.mark.parametrize("at", (2, 4, 7, 11, 12, 15))
def test_it_resumes_in_any_attempt(at: int) -> None:
    assert_resumes(start, at, 20)


def test_copies_are_given_back_after_the_search() -> None:
    trial = start()
    run(trial, 3 * LENGTH + 1)
    assert trial.submission.rank_state_dict() == {"first": None, "best": None}
    search = trial.submission.state_dict()["search"]
    assert search["first"] is None and search["best"] is None


@pytest.mark.parametrize(
    "options, name",
    (
        ({"rates": [], "share": 0.1}, "rates"),
        ({"rates": [0.1, -1.0], "share": 0.1}, "rates"),
        ({"rates": [0.1], "share": 0}, "share"),
        ({"rates": [0.1], "share": 0.1, "judged": 2.0}, "judged"),
        ({"rates": [0.1], "share": 0.1, "average": {"_target_": "x"}}, "average"),
    ),
)
def test_impossible_settings_are_refused(options: dict, name: str) -> None:  # type: ignore
    with pytest.raises(SubmissionError, match=f"Restarts: {name} is"):
        Restarts(optimizer={"_target_": "torch.optim.SGD"}, **options)


@pytest.mark.ddp
def test_ranks_agree(tmp_path) -> None:  # type: ignore[no-untyped-def]
    """A loss that is not finite on one rank alone is seen by all."""
    torch.multiprocessing.spawn(_one_of_two, (str(tmp_path / "store"),), nprocs=2)


def _one_of_two(rank: int, store: str) -> None:
    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{store}", rank=rank, world_size=2
    )
    submission = Restarts([0.1], 0.1, optimizer={"_target_": "torch.optim.SGD"})
    submission._workload = type("View", (), {"world_size": 2})()
    assert submission._mean_over_ranks(torch.tensor(1.0 + 2 * rank)) == 2.0
    assert math.isnan(submission._mean_over_ranks(torch.tensor(math.nan if rank else 1.0)))
    torch.distributed.destroy_process_group()
