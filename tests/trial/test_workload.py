"""The freedoms of a forward pass: dropout rates at every call, running statistics left alone."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from algoperf_pt.errors import SubmissionError
from algoperf_pt.integrity import all_finite
from algoperf_pt.ranks import Ranks
from algoperf_pt.roles import ParamType, param_types
from algoperf_pt.workload import EvalOutput, Workload


class Toy(Workload):
    def build_model(self):
        return nn.Sequential(
            nn.Linear(8, 64), nn.BatchNorm1d(64), nn.Dropout(0.25), nn.Linear(64, 2)
        )

    def reset_parameters(self, generator):
        pass

    def loss(self, batch, logits, label_smoothing=0.0):
        pass

    def eval_step(self, batch):
        return EvalOutput({"n": batch["weights"].sum()}, {"row": batch["row"]})

    def metrics(self, split, sums, rows):
        return {"n": sums["n"], "rows": rows["row"].tolist()}


@pytest.fixture
def toy():
    torch.manual_seed(0)
    return Toy(SimpleNamespace(), SimpleNamespace(), {})


@pytest.fixture
def batch():
    return {"inputs": torch.randn(512, 8)}


def dropped(toy, batch, **options):
    share = []
    hook = toy.model[2].register_forward_hook(
        lambda module, inputs, output: share.append((output == 0).float().mean().item())
    )
    toy(batch, **options)
    hook.remove()
    return share[0]


def test_dropout_changes_from_call_to_call_and_falls_back_to_the_default(toy, batch):
    toy.train()
    for rate, expected in ((None, 0.25), (0.5, 0.5), (0.0, 0.0), (0.9, 0.9), (None, 0.25)):
        assert dropped(toy, batch, dropout_rate=rate) == pytest.approx(expected, abs=0.02)
    toy.eval()
    assert dropped(toy, batch, dropout_rate=0.9) == 0.0


def test_running_statistics_are_left_alone_when_asked(toy, batch):
    toy.train()
    norm = toy.model[1]
    before = norm.running_mean.clone()
    toy(batch, update_batch_norm=False)
    assert torch.equal(norm.running_mean, before) and norm.momentum == 0.1
    toy(batch)
    assert not torch.equal(norm.running_mean, before)


def test_rows_come_in_the_order_of_the_split_without_padding(toy):
    parts = [torch.tensor([0, 1, 2, 3]), torch.tensor([4, 5, 6, 0])]
    toy.data = SimpleNamespace(
        eval_batches=lambda split, ranks: (
            {"row": part, "weights": torch.tensor([1.0, 1.0, 1.0, float(part[3] > 0)])}
            for part in parts
        ),
        eval_rows=lambda split: 7,
    )
    found = toy.evaluate("validation", Ranks(torch.device("cpu")))
    assert found == {"n": 7.0, "rows": [0, 1, 2, 3, 4, 5, 6]}


def test_roles_are_declared_by_the_owner():
    class Attention(nn.Module):
        param_roles = {"qkv": ParamType.ATTENTION_QKV}

        def __init__(self):
            super().__init__()
            self.qkv = nn.Parameter(torch.zeros(3))
            self.norm = nn.LayerNorm(3)

    found = param_types(nn.Sequential(Attention(), nn.Conv2d(1, 1, 1), nn.Embedding(2, 2)))
    assert found == {
        "0.qkv": ParamType.ATTENTION_QKV,
        "0.norm.weight": ParamType.LAYER_NORM_SCALE,
        "0.norm.bias": ParamType.LAYER_NORM_BIAS,
        "1.weight": ParamType.CONV_WEIGHT,
        "1.bias": ParamType.BIAS,
        "2.weight": ParamType.EMBEDDING,
    }
    del Attention.param_roles
    with pytest.raises(SubmissionError, match="'0.qkv' of Attention has no declared role"):
        param_types(nn.Sequential(Attention()))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_one_value_that_is_not_finite_is_found_anywhere(value):
    sound = [torch.ones(3, 4), torch.zeros(0), torch.tensor(2.0)]
    assert all_finite(sound)
    for place in (0, 777, 1000):
        tensor = torch.linspace(-1, 1, 1001)
        tensor[place] = value
        assert not all_finite([*sound, tensor])
