"""Do selectors mean the parameters that they say, and do groups and other optimizers get them?"""

import pytest
import torch

from algoperf_pt.assemble import make_submission
from algoperf_pt.optimizer_submission import OptimizerSubmission
from algoperf_pt.roles import ParamType
from algoperf_pt.spec import make_spec
from optimizers.where import AnyOf, DimensionsBelow, HasRole, SideAtLeast
from tests.support.runs import compose, result, run_inside

MATRIX, VECTOR = torch.nn.Parameter(torch.ones(3, 5)), torch.nn.Parameter(torch.ones(3))


def test_selectors():
    role = HasRole(["bias", "embedding"])
    assert role("", MATRIX, ParamType.EMBEDDING) and not role("", VECTOR, ParamType.WEIGHT)
    below = DimensionsBelow(2)
    assert below("", VECTOR, ParamType.WEIGHT) and not below("", MATRIX, ParamType.WEIGHT)
    side = SideAtLeast(5)
    assert side("", MATRIX, ParamType.WEIGHT) and not side("", VECTOR, ParamType.WEIGHT)
    assert not side("", torch.nn.Parameter(torch.ones(())), ParamType.WEIGHT)
    path = "optimizers.where."
    either = AnyOf(
        [
            {"_target_": f"{path}HasRole", "roles": ["bias"]},
            {"_target_": f"{path}SideAtLeast", "size": 5},
        ]
    )
    assert either("", MATRIX, ParamType.WEIGHT) and either("", VECTOR, ParamType.BIAS)
    assert not either("", VECTOR, ParamType.WEIGHT)


def test_an_unknown_role_is_named():
    with pytest.raises(ValueError, match="named 'biases', expected some of weight, bias"):
        HasRole(["biases"])


BIASES = "{_target_:optimizers.where.HasRole,roles:[bias]}"


@pytest.fixture
def seen(monkeypatch):
    """The updates of each submission that is set up."""
    made, setup = [], OptimizerSubmission.setup

    def recorded(self, *arguments):
        setup(self, *arguments)
        made.append(self.updates)

    monkeypatch.setattr(OptimizerSubmission, "setup", recorded)
    return made


def test_groups_and_others_are_trained_by_their_own_settings(data, tmp_path, seen):
    """Weights by SGD, biases by AdamW at another rate; then biases in a group of their own."""
    sgd = ("submission=custom", "submission.optimizer._target_=torch.optim.SGD", "max_steps=3")
    sgd += ("submission.hparams.learning_rate=0.001",)
    other = "{where:%s,optimizer:{_target_:torch.optim.AdamW,lr:0.5}}" % BIASES
    run_inside(data, tmp_path / "others", *sgd, f"submission.others=[{other}]")
    main, biases = seen[-1]
    assert type(main.optimizer) is torch.optim.SGD and type(biases.optimizer) is torch.optim.AdamW
    assert [p.dim() for g in main.optimizer.param_groups for p in g["params"]] == [2, 2]
    assert [p.dim() for g in biases.optimizer.param_groups for p in g["params"]] == [1, 1]
    assert biases.optimizer.param_groups[0]["lr"] == 0.5
    group = "{where:%s,lr:0.25}" % BIASES
    _, trial = run_inside(data, tmp_path / "groups", *sgd, f"submission.groups=[{group}]")
    (main,) = seen[-1]
    assert [g["lr"] for g in main.optimizer.param_groups] == [0.001, 0.25]
    assert result(trial)["status"] == "step_limit"


def test_others_that_take_everything_are_refused(data, tmp_path, capsys):
    where = "{_target_:optimizers.where.DimensionsBelow,count:9}"
    everything = "{where:%s,optimizer:{_target_:torch.optim.SGD,lr:1}}" % where
    _, trial = run_inside(data, tmp_path, f"submission.others=[{everything}]")
    assert "others take every parameter" in capsys.readouterr().err
    assert result(trial)["status"] == "submission_error"


@pytest.mark.parametrize("name, expected", [("fastmri", 16), ("fastmri_tanh", 16), ("wmt", 128)])
def test_batch_sizes_by_workload(name, expected, monkeypatch):
    monkeypatch.setattr("algoperf_pt.config_checks._check_data", lambda config: None)
    config = compose("x", "x", f"workload={name}", "+submission.batch_sizes.fastmri=16")
    assert make_submission(config["submission"]).batch_size(make_spec(config)) == expected


def test_a_tiny_twin_has_its_own_batch_size(monkeypatch):
    monkeypatch.setattr("algoperf_pt.config_checks._check_data", lambda config: None)
    config = compose("x", "x", "workload=fastmri_tiny", "+submission.batch_sizes.fastmri=16")
    assert make_submission(config["submission"]).batch_size(make_spec(config)) == 4
