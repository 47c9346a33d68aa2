"""What every workload must keep, whoever wrote it: listed in conf/workload is enough to be
tested."""

import copy
from types import SimpleNamespace

import pytest
import torch

from algoperf_pt.assemble import make_data, make_workload
from algoperf_pt.config import compose_config
from algoperf_pt.ranks import Ranks
from algoperf_pt.roles import ParamType
from algoperf_pt.spec import make_spec
from algoperf_pt.workload_data import Loading
from tests.support.batches import dealt, examples, widened
from tests.support.ranks import OneOf
from tests.support.runs import result, run_inside
from tests.support.workloads import NAMES, TIERS, node, version_of

CPU = torch.device("cpu")


@pytest.fixture(params=NAMES)
def any_config(request, monkeypatch):
    """The composed configuration of every workload, whether its data are here or not; tables of
    many millions of rows are made small."""
    monkeypatch.setattr("algoperf_pt.config_checks._check_data", lambda config: None)
    name = request.param
    small = (node(name).model.get("vocab_size") or 0) > 1_000_000
    overrides = [f"workload={name}", f"targets={version_of(name)}"]
    return compose_config(overrides + ["workload.model.vocab_size=65536"] * small)


def bare(config):
    """The workload without its data."""
    return make_workload(config, make_spec(config), SimpleNamespace())


def build(name, folder, *overrides):
    places = [f"workload={name}", f"data.dir={folder}", f"targets={version_of(name)}"]
    config = compose_config([*places, *overrides])
    data = make_data(config)
    workload = make_workload(config, make_spec(config), data)
    workload.reset_parameters(torch.Generator().manual_seed(1))
    return workload


# ---- every workload


def test_every_parameter_has_a_role(any_config):
    workload = bare(any_config)
    names = [name for name, _ in workload.model.named_parameters()]
    assert list(workload.param_types) == names and names
    assert all(isinstance(role, ParamType) for role in workload.param_types.values())
    assert workload.output_params and set(workload.output_params) <= set(names)


def test_initial_parameters_depend_on_the_generator_alone(any_config):
    workload = bare(any_config)

    def drawn(seed):
        torch.manual_seed(torch.randint(10**9, ()).item())
        workload.reset_parameters(torch.Generator().manual_seed(seed))
        return copy.deepcopy(workload.model.state_dict())

    first, again, other = drawn(5), drawn(5), drawn(6)
    assert all(torch.equal(first[k], again[k]) for k in first)
    assert any(not torch.equal(first[k], other[k]) for k in first)
    assert all(p.dtype == torch.float32 for p in workload.model.parameters())


def test_the_yaml_is_complete(any_config):
    workload = any_config["workload"]
    splits = {"train", "eval_train", "validation", "test"}
    assert set(workload["num_examples"]) == splits
    assert workload["prepare"]["_target_"] and workload["loss_type"]
    spec = make_spec(any_config)
    assert spec.budget > spec.eval_period > 0 and spec.step_hint > 0


def test_every_base_workload_has_a_tiny_twin():
    for name in NAMES:
        if TIERS[name] != "tiny" and name != "digits" and node(name).get("base") is None:
            assert f"{name}_tiny" in NAMES, name


# ---- those whose data are here


def test_training_batches(trainable):
    name, folder = trainable
    workload = build(name, folder)
    size = workload.spec.baseline_batch_size
    batch = next(workload.data.train_batches(size, 3, Ranks(CPU)))
    assert set(batch) >= {"inputs", "targets", "weights"}
    assert len(batch["targets"]) == size and batch["weights"].sum() > 0
    workload.train()
    logits = workload(batch)
    loss = workload.loss(batch, logits)
    assert loss.summed.shape == loss.n_valid.shape == () and torch.isfinite(loss.summed)
    (loss.summed / loss.n_valid).backward()
    missing = [n for n, p in workload.model.named_parameters() if p.grad is None]
    assert not missing, f"without gradient: {missing}"


def test_masked_entries_do_not_count(trainable):
    name, folder = trainable
    workload = build(name, folder)
    batch = next(workload.data.train_batches(8, 3, Ranks(CPU)))
    workload.eval()
    logits = workload(batch)
    masked = {**batch, "weights": batch["weights"].clone()}
    masked["weights"][4:] = 0
    for smoothing in (0.0, 0.1):
        full = workload.loss(batch, logits, smoothing)
        half = workload.loss(masked, logits, smoothing)
        assert half.per_example[4:].abs().sum() == 0
        assert torch.allclose(half.per_example.sum(), half.summed)
        assert torch.allclose(half.per_example[:4], full.per_example[:4])
        assert half.n_valid < full.n_valid


def test_the_training_stream_is_a_function_of_seed_and_step(trainable):
    name, folder = trainable
    data = build(name, folder).data

    def take(count, seed=3, start=0, ranks=Ranks(CPU), size=16):
        stream = data.train_batches(size, seed, ranks, start)
        return [next(stream) for _ in range(count)]

    def same(a, b):
        return all(torch.equal(x[k], y[k]) for x, y in zip(a, b) for k in x)

    whole = take(6)
    assert same(whole, take(6))
    assert same(whole[4:], take(2, start=4))
    assert not same(whole, take(6, seed=4))
    parts = [take(2, ranks=OneOf(r, 2)) for r in (0, 1)]
    for step in range(2):
        targets = whole[step]["targets"]
        found = [widened(parts[rank][step]["targets"], targets) for rank in (0, 1)]
        assert torch.equal(dealt(found), targets)


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_evaluation_sees_each_example_once(trainable, split):
    name, folder = trainable
    data = build(name, folder, "workload.eval_batch_size=64").data
    batches = list(data.eval_batches(split, Ranks(CPU)))
    assert len({len(batch["targets"]) for batch in batches}) == (data.eval_rows(split) > 0)
    real = sum(int((b["weights"].reshape(len(b["weights"]), -1).sum(1) > 0).sum()) for b in batches)
    assert real == data.eval_rows(split)


@pytest.mark.parametrize("workers", [0, 1, 3])
@pytest.mark.parametrize("world", [1, 2])
def test_evaluated_batches_depend_on_neither_workers_nor_ranks(trainable, workers, world):
    name, folder = trainable
    data = build(name, folder, "workload.eval_batch_size=128").data
    whole = list(data.eval_batches("validation", Ranks(CPU)))
    data.loading = Loading(workers)
    parts = [list(data.eval_batches("validation", OneOf(rank, world))) for rank in range(world)]
    assert {len(part) for part in parts} == {len(whole)}
    for number, batch in enumerate(whole):
        found = [examples(part[number]) for part in parts]
        for place, example in enumerate(examples(batch)):
            own = found[place % world][place // world]
            assert own.keys() == example.keys()
            for key, values in example.items():
                assert torch.equal(_as_wide(own[key], values), values), key


def _as_wide(values, like):
    return values if values.dim() != 1 else widened(values[None], like[None])[0]


def test_evaluation_depends_on_neither_ranks_nor_batch_size(trainable):
    name, folder = trainable
    one = build(name, folder).evaluate("validation", Ranks(CPU))
    again = build(name, folder, "workload.eval_batch_size=64").evaluate("validation", Ranks(CPU))
    assert again == pytest.approx(one, rel=1e-5)
    workload = build(name, folder, "workload.eval_batch_size=64")
    parts = []
    workload.metrics = lambda split, sums, rows: parts.append((sums, rows)) or {}
    for rank in (0, 1):
        workload.evaluate("validation", OneOf(rank, 2))
    (sums, rows), (other_sums, other_rows) = parts
    added = {key: value + other_sums[key] for key, value in sums.items()}
    n = workload.data.eval_rows("validation")
    whole = {key: dealt([part, other_rows[key]])[:n] for key, part in rows.items()}
    fresh = build(name, folder)
    assert fresh.metrics("validation", added, whole) == pytest.approx(one, rel=1e-5)


def test_evaluation_changes_nothing(trainable):
    name, folder = trainable
    workload = build(name, folder)
    before = copy.deepcopy(workload.model.state_dict())
    first = workload.evaluate("test", Ranks(CPU))
    assert workload.evaluate("test", Ranks(CPU)) == first
    assert all(torch.equal(before[k], v) for k, v in workload.model.state_dict().items())
    assert workload.spec.metric in first


@pytest.mark.slow
def test_trains_to_its_target_and_not_without_learning(trainable, tmp_path):
    name, folder = trainable
    code, trial = run_inside(folder, tmp_path / "on", f"workload={name}", "submission=nadamw")
    assert code == 0, result(trial)
    still = ("submission.hparams.learning_rate=0", f"targets.workloads.{name}.max_runtime=3")
    code, trial = run_inside(folder, tmp_path / "off", f"workload={name}", *still)
    found = result(trial)
    assert found["status"] == "budget"
    targets = found["targets"]
    assert targets["validation"] is not None
    for split, seconds in found["time_to_target"].items():
        assert seconds is None or targets[split] is None, split  # no target is always reached
