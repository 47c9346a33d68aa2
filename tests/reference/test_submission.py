"""What the harness asks of a submission in AlgoPerf's interface, and what it offers and refuses."""

import re
from copy import deepcopy

import pytest
import torch

from algoperf_pt.assemble import assemble
from algoperf_pt.config import compose_config, trial_folder
from algoperf_pt.driver import open_folder
from algoperf_pt.errors import SubmissionError
from algoperf_pt.heartbeat import Heartbeat
from algoperf_pt.loop import train
from algoperf_pt.reference.api import random_utils, spec
from algoperf_pt.reference.container import Replica
from algoperf_pt.spec import make_spec
from tests.reference.helpers import write
from tests.support.runs import assert_same, compose, result, rows, run_inside, state

FEW = ("max_steps=4", "eval_every_steps=2")


def chosen(path, *more):
    return ("submission=algoperf", f"submission.path={path}", *more)


def build(data, folder, *overrides):
    """An assembled trial."""
    config = compose(data, folder / "runs", *overrides)
    open_folder(config, trial_folder(config))
    return assemble(config, trial_folder(config), Heartbeat())[0]


@pytest.fixture
def trial(data, tmp_path):
    """An assembled trial of the small submission, with a batch: (trial, workload, batch)."""
    made = build(data, tmp_path, *chosen(write(tmp_path)))
    return made, made.submission._workload, next(made.batches())


def message(folder):
    return result(folder)["message"]


# ---- the file


@pytest.mark.parametrize(
    "name", ["get_batch_size", "init_optimizer_state", "update_params", "data_selection"]
)
def test_a_missing_function_is_named(data, tmp_path, name):
    path = write(tmp_path, without=(name,))
    with pytest.raises(SubmissionError, match=f"defines no function {name}"):
        build(data, tmp_path, *chosen(path))


def test_batch_sizes(data, tmp_path):
    """Its own; the base workload's; a small workload's own with a note; else an error."""
    path = write(tmp_path, 'def get_batch_size(name):\n    return {"wmt": 128, "digits": 8}[name]')
    trial = build(data, tmp_path, *chosen(path))
    assert trial.batch_size == 8
    submission = trial.submission

    def size(name, tier):
        submission._tier = tier
        config = compose_config([f"workload={name}"], needs_data=False)
        return submission.batch_size(make_spec(config))

    assert size("wmt_post_ln", "full") == 128
    assert size("wmt_tiny", "tiny") == 8  # of conf/workload/wmt_tiny.yaml
    with pytest.raises(SubmissionError, match="get_batch_size knows no 'ogbg_gelu' and no 'ogbg'"):
        size("ogbg_gelu", "full")


def test_a_typed_batch_size_wins(data, tmp_path):
    trial = build(data, tmp_path, *chosen(write(tmp_path), "submission.batch_size=48"))
    assert len(next(trial.batches())["inputs"]) == 48


def test_versions_are_those_of_the_benchmark(data, tmp_path):
    with pytest.raises(SubmissionError, match="version=0.7 is no version of AlgoPerf"):
        build(data, tmp_path, *chosen(write(tmp_path), "submission.options.version=0.7"))


def test_a_submission_without_its_point_is_told_so(data, tmp_path):
    more = "def init_optimizer_state(w, params, state, hyperparameters, rng):\n"
    path = write(tmp_path, more + "    return hyperparameters.learning_rate")
    with pytest.raises(SubmissionError, match=r"\+submission.hparams.learning_rate=") as caught:
        build(data, tmp_path, *chosen(path))
    assert "init_optimizer_state asks None for 'learning_rate'" in str(caught.value)


def test_hyperparameters_are_attributes(data, tmp_path):
    path = write(tmp_path)
    trial = build(data, tmp_path, *chosen(path, "+submission.hparams.lr=0.5"))
    point = trial.submission._hyperparameters
    assert point.lr == 0.5 and not hasattr(point, "grad_clip") and point._asdict() == {"lr": 0.5}


@pytest.mark.parametrize(
    "more, expected",
    [
        ("def update_params(**given):\n    return None", "update_params returned a NoneType"),
        ("def update_params(**given):\n    import optax", r"line \d+: import optax"),
        (
            "def init_optimizer_state(*args):\n    return {'odd': object()}\n"
            "def update_params(**given):\n    return given['optimizer_state'], "
            "given['current_param_container'], None",
            "optimizer_state['odd'] is of the class object: it cannot be saved",
        ),
        (
            "def update_params(workload, **given):\n"
            "    workload.metrics_logger.append_scalar_metrics({'a': 1}, 0, is_eval=True)",
            "the submission writes a row of evaluations",
        ),
    ],
)
def test_what_is_wrong_is_said(data, tmp_path, more, expected):
    code, folder = run_inside(data, tmp_path, *chosen(write(tmp_path, more)), *FEW)
    assert code == 25
    assert re.search(expected if "line" in expected else re.escape(expected), message(folder))


def test_keys_are_those_of_the_reference(trial):
    made, _, _ = trial
    seed = made.view.generator("reference").initial_seed()
    loop = random_utils.split(random_utils.PRNGKey(seed), 4)[3]
    for step in (0, 1, 12345):
        made.step = step
        expected = random_utils.split(random_utils.fold_in(loop, step), 4)
        found = [made.submission._key(place) for place in range(3)]
        assert [key.tolist() for key in found] == expected[:3].tolist()


# ---- the workload


def test_facts_of_the_workload(trial):
    made, workload, _ = trial
    facts = made.spec
    assert workload.step_hint == facts.step_hint
    assert workload.max_allowed_runtime_sec == facts.max_runtime
    assert workload.eval_period_time_sec == facts.eval_period
    assert workload.loss_type is spec.LossType.SOFTMAX_CROSS_ENTROPY
    assert (workload.num_train_examples, workload.num_validation_examples) == (1297, 250)
    assert workload.target_metric_name == "accuracy"
    names = [name for name, _ in made.view.named_parameters()]
    assert list(workload.model_params_types) == list(workload.param_shapes) == names
    assert workload.model_params_types["net.layer1.weight"] is spec.ParameterType.WEIGHT
    assert workload.param_shapes["net.layer1.weight"] == spec.ShapeTuple((128, 64))
    assert workload.is_output_params("module.net.layer2.bias")
    assert not workload.is_output_params("net.layer1.bias")
    target = facts.validation_target
    assert workload.has_reached_validation_target({"validation/accuracy": target + 1e-3})
    assert not workload.has_reached_validation_target({"validation/accuracy": target - 1e-3})
    assert not hasattr(workload, "train_mean")


def test_a_pass_for_evaluation_has_no_gradients(trial):
    made, workload, batch = trial
    model = made.view.model
    logits, model_state = workload.model_fn(
        model, batch, None, spec.ForwardPassMode.EVAL, None, False
    )
    assert not logits.requires_grad and not model.training and model_state is None
    logits, _ = workload.model_fn(model, batch, None, spec.ForwardPassMode.TRAIN, None, True)
    assert logits.requires_grad and model.training
    assert torch.allclose(workload.output_activation_fn(logits, "pytorch").sum(-1), torch.ones(32))


def test_running_statistics_follow_only_where_asked(all_data, tmp_path):
    data = all_data.prepared("cifar_tiny")
    made = build(data, tmp_path, "workload=cifar_tiny", *chosen(write(tmp_path)))
    workload, batch, model = made.submission._workload, next(made.batches()), made.view.model
    train, evaluate = spec.ForwardPassMode.TRAIN, spec.ForwardPassMode.EVAL
    cases = ((train, False, False), (evaluate, True, False), (train, True, True))
    for mode, flag, follows in cases:
        before = [m.running_mean.clone() for m in model.modules() if hasattr(m, "running_mean")]
        workload.model_fn(model, batch, None, mode, None, update_batch_norm=flag)
        now = [m.running_mean for m in model.modules() if hasattr(m, "running_mean")]
        assert any((a != b).any() for a, b in zip(before, now)) == follows


def test_losses_are_the_workloads(trial):
    made, workload, batch = trial
    logits, _ = workload.model_fn(made.view.model, batch)
    mask = (batch["targets"] > 4).float()
    found = workload.loss_fn(batch["targets"], logits, mask, 0.1)
    ours = made.view.loss({**batch, "weights": mask}, logits, 0.1)
    assert found["n_valid_examples"] == ours.n_valid == mask.sum()
    assert torch.equal(found["per_example"], ours.per_example)
    assert workload.loss_fn(batch["targets"], logits)["n_valid_examples"] == 32


def test_weights_of_a_copy_without_gradients(trial):
    made, workload, batch = trial
    model = made.view.model
    before = deepcopy(model.state_dict())
    copy = deepcopy(model)
    with torch.no_grad():
        copy.net["layer2"].bias += 5.0
        own, _ = workload.model_fn(model, batch)
        other, _ = workload.model_fn(copy, batch)
    assert torch.allclose(other, own + 5.0, atol=1e-5)
    assert_same(dict(model.state_dict()), dict(before))
    with pytest.raises(SubmissionError, match="another module than current_param_container"):
        workload.model_fn(copy, batch)


def test_what_is_not_for_submissions(trial):
    _, workload, _ = trial
    for call in (workload.init_model_fn, workload._build_input_queue):
        with pytest.raises(SubmissionError):
            call(None)
    assert {name.split("/")[0] for name in workload.eval_model()} == {"train", "validation"}


def test_several_ranks_hold_a_module_as_ddp_would_be(trial):
    made, _, batch = trial
    replica = Replica(made.view.model, made.view.no_sync)
    names = [name for name, _ in replica.named_parameters()]
    assert names == [f"module.{name}" for name, _ in made.view.named_parameters()]
    with replica.no_sync():
        pass
    with pytest.raises(SubmissionError, match="calls its parameter container as a model"):
        replica(batch["inputs"])
    copy = deepcopy(replica)
    assert copy.module is not replica.module
    assert_same(dict(copy.state_dict()), dict(replica.state_dict()))


# ---- the trial


def test_a_copy_that_is_returned_is_judged_and_trained_on(data, tmp_path):
    more = """
from copy import deepcopy

def prepare_for_eval(current_param_container, optimizer_state, **others):
    copy = deepcopy(current_param_container)
    for p in copy.parameters():
        p.data.fill_(0.01)
    return optimizer_state, copy, None
"""
    _, folder = run_inside(data, tmp_path, *chosen(write(tmp_path, more)), *FEW)
    shared, _ = state(folder, 4)
    assert all((value == 0.01).all() for value in shared["model"].values())


def test_a_module_of_other_shapes_is_refused(data, tmp_path):
    more = "def update_params(optimizer_state, **others):\n"
    more += "    return optimizer_state, torch.nn.Linear(2, 2), None"
    code, folder = run_inside(data, tmp_path, *chosen(write(tmp_path, more)), *FEW)
    assert code == 25 and "the workload's network or a copy of it" in message(folder)


def test_several_updates_a_step_from_the_queue(data, tmp_path):
    """As the averaging submissions of 0.5 do: `data_selection` hands the queue over."""
    more = """
def data_selection(workload, input_queue, *others):
    return input_queue

inner = update_params

def update_params(workload, current_param_container, batch, optimizer_state, global_step):
    for _ in range(3):
        given = (workload, current_param_container, next(batch), optimizer_state, global_step)
        returned = inner(*given)
    return returned
"""
    path = write(tmp_path, more)
    _, whole = run_inside(data, tmp_path / "whole", *chosen(path), *FEW)
    assert state(whole, 4)[0]["drawn"] == 12 and state(whole, 4)[0]["step"] == 4


def test_ranks_that_are_not_there_are_named(data, tmp_path):
    more = """
import torch.distributed as dist

def update_params(**given):
    dist.all_reduce(torch.ones(1))
"""
    code, folder = run_inside(data, tmp_path, *chosen(write(tmp_path, more)), *FEW)
    assert code == 25 and "update_params communicates between ranks" in message(folder)
    assert "trainer.devices=2" in message(folder)


def test_it_is_told_of_evaluations_and_time(data, tmp_path):
    more = """
TOLD = []
inner = update_params

def update_params(eval_results, train_state, **given):
    TOLD.append(([step for step, row in eval_results if "validation/accuracy" in row],
                 dict(train_state)))
    taken = ("workload", "current_param_container", "batch", "optimizer_state", "global_step")
    return inner(**{name: given[name] for name in taken})
"""
    trial = build(data, tmp_path, *chosen(write(tmp_path, more)), *FEW)
    train(trial, trial.clock)
    steps = [told[0] for told in trial.submission.module.TOLD]
    assert steps == [[], [], [2], [2]]
    states = [told[1] for told in trial.submission.module.TOLD]
    times = [s["accumulated_submission_time"] for s in states]
    assert times == sorted(times) and times[0] == 0 < times[1]
    assert states[1]["last_eval_time"] == 0 < states[2]["last_eval_time"]
    assert states[0]["is_time_remaining"] and not states[0]["validation_goal_reached"]
    assert states[2]["accumulated_eval_time"] > 0
    assert len(rows(trial_folder(trial.config))) == 2
