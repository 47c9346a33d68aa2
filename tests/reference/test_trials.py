"""Submissions in AlgoPerf's interface run as they are: on several workloads, equal to our own, on
two ranks as on one, and after a kill as without it."""

from pathlib import Path

import pytest
import torch

from tests.reference.helpers import write
from tests.support.runs import assert_same, result, rows, run_command, run_inside, state

FOLDER = Path(__file__).parent / "submissions"
PLACE = "algoperf/study_0/{}/trial_1"
POINTS = {  # typed here, where the folder has no search space
    "adam": ("submission.space=tuning_search_space.json",),
    "adam_v05": ("+submission.hparams.learning_rate=0.003", "+submission.hparams.dropout_rate=0.1"),
    "sam": ("+submission.hparams.learning_rate=0.003", "+submission.hparams.rho=0.05"),
    "selection": (),
    "ends": ("ruleset=self_tuning",),
    "ema": ("+submission.hparams.learning_rate=0.2",),
}

WORKLOADS = {  # as few steps as show a descent
    "digits": ("max_steps=12", "eval_every_steps=4"),
    "criteo1tb_tiny": ("max_steps=40", "eval_every_steps=4"),
    "wmt_tiny": ("max_steps=8", "eval_every_steps=4", "workload.model.decode_length=8"),
}

DIES = "submission._target_=tests.reference.helpers.Dies"
LISTED = "submission._target_=tests.reference.helpers.Listed"


def arguments(name, *more):
    path = f"submission.path={FOLDER / name / 'submission.py'}"
    return ("submission=algoperf", path, *POINTS[name], *more)


def losses(folder):
    return [float(row["loss"]) for row in rows(folder, "measurements.csv") if row.get("loss")]


@pytest.mark.slow
@pytest.mark.parametrize("workload", sorted(WORKLOADS))
@pytest.mark.parametrize("name", sorted(POINTS))
def test_every_kind_trains_on_every_workload(all_data, tmp_path, name, workload):
    settings = (f"workload={workload}", *WORKLOADS[workload])
    data = all_data.prepared(workload)
    code, folder = run_inside(data, tmp_path, *arguments(name, *settings))
    assert code in (0, 11, 12), result(folder)
    judged = [float(row["train/loss"]) for row in rows(folder)]
    assert judged[-1] < judged[0]


OURS = (  # the same rule, schedule and point in our own words
    "submission=adamw",
    "submission.optimizer._target_=torch.optim.Adam",
    "submission.schedule.integer_warmup=true",
    "submission.hparams={learning_rate: 0.01, one_minus_beta1: 0.1, beta2: 0.99, "
    "warmup_factor: 0.02, weight_decay: 0.0, label_smoothing: 0.1, dropout_rate: 0.2}",
)


@pytest.mark.parametrize("workload", ["digits", "wmt_tiny"])
def test_adam_equals_our_own(all_data, tmp_path, workload):
    data = all_data.prepared(workload)
    settings = (f"workload={workload}", "max_steps=10", "eval_every_steps=10")
    settings += ("workload.model.decode_length=8",) if workload == "wmt_tiny" else ()
    _, theirs = run_inside(data, tmp_path / "a", *arguments("adam", *settings))
    _, ours = run_inside(data, tmp_path / "b", *OURS, *settings)
    assert len(losses(theirs)) == 10
    assert losses(theirs) == pytest.approx(losses(ours), rel=1e-6)
    for key in ("train/loss", "validation/loss"):
        assert float(rows(theirs)[-1][key]) == pytest.approx(float(rows(ours)[-1][key]), rel=1e-6)


@pytest.mark.slow
def test_dropout_of_the_point_holds_for_all_passes_in_version_05(all_data, tmp_path):
    """`digits` has no dropout, wmt has: its rate changes the numbers, and only in 0.5."""
    data = all_data.prepared("wmt_tiny")
    few = ("workload=wmt_tiny", "workload.model.decode_length=8", "max_steps=4")
    few += ("eval_every_steps=4", *arguments("adam_v05"))
    found = {}
    for number, more in enumerate(
        [(), ("submission.options.version=0.6",), ("+submission.hparams.dropout_rate=0.5",)]
    ):
        point = few[:-1] if len(more) and "dropout" in more[0] else few
        _, folder = run_inside(data, tmp_path / str(number), *point, *more)
        found[more] = losses(folder)
    same, new, other = found.values()
    assert same == new  # 0.1 is also the workload's own rate
    assert same != other


STEPS = ("max_steps=20", "eval_every_steps=10", "logger.first=20")


@pytest.mark.ddp
@pytest.mark.parametrize("name", ["adam_v05", "sam"])  # each under one of the import names
def test_two_ranks_equal_one(data, tmp_path, name):
    """Their differentiable sum over ranks and a plain backward pass give the global mean's
    gradient, as our `mean_loss` and `backward` do."""
    _, one = run_inside(data, tmp_path / "one", *arguments(name, *STEPS))
    done = run_command(data, tmp_path / "two", *arguments(name, *STEPS), "trainer.devices=2")
    two = tmp_path / "two" / PLACE.format("digits")
    assert done.returncode in (0, 11), done.stderr
    assert len(losses(one)) == len(losses(two)) == 20
    assert losses(two) == pytest.approx(losses(one), rel=1e-5)
    for a, b in zip(rows(one), rows(two)):
        for key in ("train/loss", "validation/loss", "test/accuracy"):
            assert float(b[key]) == pytest.approx(float(a[key]), rel=1e-5), key


OWN_AVERAGE = """
import torch.distributed as dist

def update_params(workload, current_param_container, batch, optimizer_state, global_step):
    current_param_container.require_backward_grad_sync = global_step >= 2
    optimizer_state["optimizer"].zero_grad()
    loss, spread = gradient(workload, current_param_container, batch), 0.0
    for p in current_param_container.parameters():
        own = p.grad.clone()
        dist.all_reduce(p.grad)
        spread += (p.grad / dist.get_world_size() - own).norm().item()
    workload.metrics_logger.append_scalar_metrics({"loss": loss, "spread": spread}, global_step)
    return optimizer_state, current_param_container, None
"""


@pytest.mark.ddp
def test_gradients_stay_a_ranks_own_where_a_submission_averages_them(data, tmp_path):
    path = write(tmp_path, OWN_AVERAGE)
    few = ("submission=algoperf", f"submission.path={path}", "max_steps=4", "eval_every_steps=4")
    done = run_command(data, tmp_path, *few, "logger.first=4", "trainer.devices=2")
    assert done.returncode in (0, 11), done.stderr
    found = rows(tmp_path / PLACE.format("digits"), "measurements.csv")
    spread = [float(row["spread"]) for row in found if row.get("spread")]
    assert min(spread[:2]) > 1e-3 and max(spread[2:]) < 1e-6 and len(spread) == 4


@pytest.mark.parametrize("name", ["adam", "adam_v05", "sam", "selection", "ema"])
def test_resumed_equals_unbroken(data, tmp_path, name, monkeypatch):
    """It dies at step 10, three behind a checkpoint, and ends as if it had not, to the last bit."""
    few = ("eval_every_steps=7", "max_steps=14", *arguments(name), DIES)
    _, whole = run_inside(data, tmp_path / "whole", *few)
    monkeypatch.setenv("TEST_DIES_AT", "10")
    code, broken = run_inside(data, tmp_path / "broken", *few)
    assert code == 25, result(broken)
    monkeypatch.delenv("TEST_DIES_AT")
    code, _ = run_inside(data, tmp_path / "broken", *few)
    assert code in (0, 11), result(broken)
    assert result(broken)["attempts"] == 2
    assert_same(state(whole, 14)[0]["model"], state(broken, 14)[0]["model"])
    assert_same(state(whole, 14)[0]["submission"], state(broken, 14)[0]["submission"])
    assert state(whole, 14)[0]["drawn"] == state(broken, 14)[0]["drawn"]
    assert losses(whole) == losses(broken)


@pytest.mark.ddp
def test_two_ranks_resumed_equal_unbroken(data, tmp_path):
    few = ("eval_every_steps=7", "max_steps=14", "trainer.devices=2", *arguments("sam"), DIES)
    for name, environment in (("whole", {}), ("broken", {"TEST_DIES_AT": "10"}), ("broken", {})):
        done = run_command(data, tmp_path / name, *few, env=environment)
        assert done.returncode in ((25,) if environment else (0, 11)), done.stderr
    whole, broken = (tmp_path / name / PLACE.format("digits") for name in ("whole", "broken"))
    for rank in range(2):
        (shared_a, own_a), (shared_b, own_b) = state(whole, 14, rank), state(broken, 14, rank)
        assert_same(shared_a["model"], shared_b["model"])
        assert own_a["submission"]["optimizer_state"]
        assert_same(own_a, own_b)


def test_it_may_end_its_trial(data, tmp_path):
    few = ("eval_every_steps=5", "max_steps=20")
    code, folder = run_inside(data, tmp_path, *arguments("ends", *few))
    assert code in (0, 12), result(folder)
    assert [int(row["global_step"]) for row in rows(folder)] == [5, 10, 11]  # a last one
    assert result(folder)["step"] == 11


def test_the_average_is_judged(data, tmp_path):
    few = ("max_steps=8", "eval_every_steps=8")
    _, folder = run_inside(data, tmp_path, *arguments("ema", *few))
    shared, _ = state(folder, 8)
    average = shared["submission"]["optimizer_state"]["average"]["value"]
    judged = list(shared["model"].values())
    assert all(torch.equal(a, b) for a, b in zip(average["values"], judged, strict=True))
    assert any((a != b).any() for a, b in zip(average["trained"], judged, strict=True))


def test_points_of_a_list_belong_to_trials(data, tmp_path):
    few = ("max_steps=2", "eval_every_steps=2", "trial=2")
    _, folder = run_inside(data, tmp_path, *arguments("adam", *few))
    hparams = (folder / "hparams.json").read_text()
    assert '"learning_rate": 0.003' in hparams and '"label_smoothing": 0.0' in hparams


@pytest.mark.slow
def test_no_framework_is_imported(data, tmp_path):
    """In the process of a trial, at its end."""
    few = ("max_steps=2", "eval_every_steps=2")
    report = tmp_path / "modules"
    done = run_command(
        data, tmp_path, *arguments("adam", *few), LISTED, env={"TEST_MODULES": str(report)}
    )
    assert done.returncode in (0, 11), done.stderr
    names = set(report.read_text().split())
    assert {"torch", "algoperf", "algorithmic_efficiency"} <= names
    assert not names & {"jax", "jaxlib", "flax", "optax", "tensorflow", "clu"}
