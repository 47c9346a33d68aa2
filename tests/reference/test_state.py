"""Anything that a submission may keep survives a checkpoint, or is refused by its name."""

from collections import Counter, OrderedDict, deque, namedtuple

import numpy as np
import pytest
import torch
from torch import nn

from algoperf_pt.errors import SubmissionError
from algoperf_pt.reference.state import encode, restore
from tests.support.runs import assert_same

CPU = torch.device("cpu")
Pair = namedtuple("Pair", "first second")


def through_a_file(value, fresh, tmp_path):
    torch.save(encode(value, CPU), tmp_path / "state.pt")
    return restore(fresh, torch.load(tmp_path / "state.pt", weights_only=True), CPU)


def plain_state():
    return {
        "step": 3,
        "list": [torch.arange(3.0), None, "x", (1, 2.5)],
        "queue": deque([[torch.ones(2)], [torch.zeros(2)]], maxlen=4),
        "array": np.arange(4, dtype=np.int32),
        "scalar": np.float64(0.25),
        "set": {1, 2},
        "ordered": OrderedDict(a=1),
        "counter": Counter({30: 1}),
        "bfloat16": torch.ones(2, dtype=torch.bfloat16),
    }


@pytest.mark.parametrize("fresh", [None, {}, {"step": 0, "list": [torch.zeros(3)], "gone": 1}])
def test_plain_values_come_back(tmp_path, fresh):
    state = plain_state()
    back = through_a_file(state, fresh, tmp_path)
    assert back.keys() == state.keys()
    for name in ("step", "set", "ordered", "counter", "scalar"):
        assert back[name] == state[name]
    assert type(back["ordered"]) is OrderedDict and type(back["counter"]) is Counter
    assert back["queue"].maxlen == 4 and len(back["queue"]) == 2
    assert (back["array"] == state["array"]).all() and back["array"].dtype == np.int32
    assert_same(back["list"], state["list"])
    assert_same(back["bfloat16"], state["bfloat16"])


def trained(kind, **settings):
    model = nn.Linear(3, 2)
    optimizer = kind(model.parameters(), **settings)
    model(torch.ones(3)).sum().backward()
    optimizer.step()
    return optimizer


def test_a_state_of_another_dtype_stays_so(tmp_path):
    """torch would cast it to the parameters' dtype."""
    optimizer = trained(torch.optim.Adam, lr=0.1)
    for state in optimizer.state.values():
        state["exp_avg_sq"] = state["exp_avg_sq"].bfloat16()
    fresh = torch.optim.Adam(nn.Linear(3, 2).parameters(), lr=0.7)
    through_a_file({"o": optimizer}, {"o": fresh}, tmp_path)
    assert_same(fresh.state_dict(), optimizer.state_dict())
    assert next(iter(fresh.state.values()))["exp_avg_sq"].dtype is torch.bfloat16


def test_an_optimizer_inside_another_comes_back_with_its_groups_shared(tmp_path):
    def pair():
        outer = trained(torch.optim.SGD, lr=0.1)
        outer.inside = torch.optim.Adam(outer.param_groups, lr=0.1)
        outer.inside.step()
        outer.param_groups = outer.inside.param_groups
        return outer

    outer, fresh = pair(), pair()
    for state in outer.inside.state.values():
        state["exp_avg"].fill_(7.0)
    through_a_file({"o": outer}, {"o": fresh}, tmp_path)
    assert all((s["exp_avg"] == 7.0).all() for s in fresh.inside.state.values())
    assert fresh.inside.param_groups is fresh.param_groups


def test_parameters_in_groups_come_back_as_the_optimizers_own(tmp_path):
    """As an optimizer keeps them that has its parameters sorted into buckets."""

    def bucketed():
        optimizer = trained(torch.optim.SGD, lr=0.1, momentum=0.9)
        for group in optimizer.param_groups:
            group["bucket"] = {p.shape: [(p, 0.5)] for p in group["params"]}
        return optimizer

    saved, fresh = bucketed(), bucketed()
    through_a_file({"o": saved}, {"o": fresh}, tmp_path)
    (group,) = fresh.param_groups
    assert len(group["bucket"]) == 2
    for parameter in group["params"]:
        ((found, share),) = group["bucket"][parameter.shape]
        assert found is parameter and share == 0.5


def test_generators_functions_and_named_tuples_keep_what_the_code_gives(tmp_path):
    generator, fresh = torch.Generator().manual_seed(3), torch.Generator()
    state = {"g": generator, "f": len, "k": nn.Linear, "pair": Pair(1, 2.0)}
    made = {"g": fresh, "f": len, "k": nn.Linear, "pair": Pair(0, 0)}
    back = through_a_file(state, made, tmp_path)
    assert back["f"] is len and back["k"] is nn.Linear and back["pair"] == Pair(1, 2.0)
    assert torch.rand((), generator=fresh) == torch.rand((), generator=generator)


def test_what_cannot_be_saved_is_named():
    odd = {"optimizer": {"history": [object()]}}
    named = r"optimizer_state\['optimizer'\]\['history'\]\[0\] is of the class object"
    with pytest.raises(SubmissionError, match=named):
        encode(odd, CPU)
    with pytest.raises(SubmissionError, match="has a key of type Tensor"):
        encode({"moments": {torch.ones(1): 1}}, CPU)


def test_an_object_that_the_set_up_does_not_make_is_refused(tmp_path):
    with pytest.raises(SubmissionError, match="make it in init_optimizer_state"):
        through_a_file({"late": trained(torch.optim.SGD, lr=0.1)}, {}, tmp_path)
