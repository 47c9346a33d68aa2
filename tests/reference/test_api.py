"""AlgoPerf's modules in our words: its keys to the integer, its enumerations, its helpers."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from algoperf_pt.reference.api import data_utils, param_utils, pytorch_utils, random_utils, spec
from algoperf_pt.roles import ParamType

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "rng.json").read_text())


@pytest.mark.parametrize("seed", sorted(GOLDEN["primitives"]))
def test_golden_keys(seed):
    expected, key = GOLDEN["primitives"][seed], int(seed)
    assert random_utils.split(key, 2).tolist() == expected["split2"]
    assert random_utils.split(key, 3).tolist() == expected["split3"]
    assert random_utils.PRNGKey(key).tolist() == expected["key"]
    assert [int(word) for word in random_utils.fold_in(key, 9)] == expected["fold_in_9"]


@pytest.mark.parametrize("number", range(len(GOLDEN["flow"])))
def test_golden_keys_of_a_trial(number):
    flow = GOLDEN["flow"][number]
    key = random_utils.PRNGKey(flow["seed"])
    if flow["ruleset"] == "external":
        key = random_utils.split(key, 2)[0]
    data, _, model, loop = random_utils.split(key, 4)
    assert data.tolist() == flow["data"] and model.tolist() == flow["model_init"]
    for step, expected in flow["steps"].items():
        keys = random_utils.split(random_utils.fold_in(loop, int(step)), 4)
        assert keys.tolist() == list(expected.values())


def test_numpy_integers_are_keys_too():
    key = random_utils.PRNGKey(3)
    assert (random_utils.split(key[0]) == random_utils.split(int(key[0]))).all()
    assert (random_utils.split(tuple(key)) == random_utils.split(np.array(key))).all()


def test_parameter_types_are_ours():
    assert [kind.name for kind in spec.ParameterType] == [kind.name for kind in ParamType]
    assert [kind.value for kind in spec.ParameterType] == list(range(15))


def test_shapes_are_leaves():
    shapes = param_utils.pytorch_param_shapes(nn.Linear(3, 2))
    assert shapes == {"weight": spec.ShapeTuple((2, 3)), "bias": spec.ShapeTuple((2,))}
    assert shapes["weight"] != shapes["bias"] and shapes["weight"] != (2, 3)


def test_batch_norms_stand_and_follow_again():
    model = nn.Sequential(nn.BatchNorm1d(2, momentum=0.3), nn.Linear(2, 2))
    for flag, momentum in ((False, 0.0), (False, 0.0), (True, 0.3)):
        model.apply(lambda m: pytorch_utils.update_batch_norm_fn(m, flag))
        assert model[0].momentum == momentum


def test_cycle_repeats_and_mixes():
    rows = [(torch.eye(4)[:2], torch.tensor([0, 1])), (torch.eye(4)[2:], torch.tensor([2, 3]))]
    stream = data_utils.cycle(rows)
    targets = [next(stream)["targets"].tolist() for _ in range(5)]
    assert targets == [[0, 1], [2, 3], [0, 1], [2, 3], [0, 1]]
    inputs, mixed = data_utils.mixup_pytorch(rows[0], num_classes=4)
    assert torch.allclose(inputs, mixed)  # both are one-hot here
    assert torch.allclose(inputs.sum(1), torch.ones(2)) and not torch.equal(inputs, rows[0][0])


def test_time_on_one_rank_is_its_own():
    assert pytorch_utils.sync_ddp_time(1.5, torch.device("cpu")) == 1.5
