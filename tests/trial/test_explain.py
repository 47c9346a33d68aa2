"""Does `python -m algoperf_pt.explain` say what a trial would do?"""

import json
import types

import numpy as np
import pytest
import torch
from matplotlib.image import imread

from algoperf_pt import anatomy, explain
from algoperf_pt.config import compose_config
from algoperf_pt.errors import ConfigError
from algoperf_pt.instantiate import import_object
from algoperf_pt.schedule_plot import plot_schedules
from algoperf_pt.submission import Submission
from tests.support.runs import run_inside, state
from tests.support.submissions import Mine

VIEW = import_object(explain.MATRIX_VIEW, "test")
HERE = "tests.trial.test_explain."
# kinds of state: per element, of vectors, of blocks, of two optimizers, averages, on the CPU
SAMPLE = ["nadamw", "adafactor", "shampoo", "soap", "muon_nadamw_self", "lawa_queue"]
SAMPLE += ["schedule_free_v1_self", "diloco_self", "heavy_ball"]


class Sharp(Mine):
    """Looks at a gradient's value, which a shape does not have; says what it sees."""

    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad.abs().max().item() > 0:
                    self.state[p]["seen"] = torch.ones(3)
        super().step()

    def describe(self, parameter):
        return f"{parameter.dim()} sides"


class Greedy(Submission):
    """Trains in its set-up."""

    def setup(self, workload, hparams):
        workload.forward({})


def dissect(workload, submission, *overrides):
    rules = "self_tuning" if submission.endswith("_self") else "external"
    words = [f"workload={workload}", f"submission={submission}", f"ruleset={rules}", *overrides]
    return anatomy.dissect(compose_config(words, needs_data=False), VIEW)


def custom(rule, *overrides, workload="digits"):
    words = (f"submission.optimizer._target_={rule}", *overrides)
    return dissect(workload, "custom", *words)


def test_text_as_a_user_sees_it(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    explain.main(["workload=digits", "submission=nadamw", "submission.grad_clip=2.5"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == "batch size 32, clipping 2.5, label smoothing 0.1, dropout none"
    rows = [line.split() for line in lines if line.startswith("net.")]
    names = [f"net.layer{n}.{p}" for n in (1, 2) for p in ("weight", "bias")]
    assert [row[0] for row in rows] == names
    assert rows[0][1:] == "weight 128 x 64 128 x 64 0 NAdamW 0 0.001308 0.1638 65,540".split()
    assert rows[1][1:] == "bias 128 - 0 NAdamW 0 0.001308 0.1638 1,028".split()
    assert "4 tensors, 9,610 elements, 76,896 state bytes (8.00 an element)" in lines[-2]
    picture = imread(tmp_path / "digits_nadamw_schedule.png")
    assert picture.shape[:2] == (480, 960) and picture[..., :3].min() < 0.5


def test_json_holds_the_same(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    explain.main(["workload=digits", "submission=nadamw", "--json", "--png", "x/y.png"])
    found = json.loads(capsys.readouterr().out)
    assert found["state_bytes"] == 8 * 9610 + 4 * 4 and found["elements"] == 9610
    assert found["tensors"][0]["shape"] == [128, 64]
    assert found["optimizers"][0]["groups"][0]["eps"] == 1e-8
    assert found["schedule"] == "x/y.png" and (tmp_path / "x" / "y.png").exists()


def test_mistakes_are_one_message(capsys):
    with pytest.raises(SystemExit) as ended:
        explain.main(["workload=digts"])
    assert ended.value.code == 2 and "did you mean 'digits'" in capsys.readouterr().err


@pytest.mark.parametrize("submission", SAMPLE)
def test_shapes_alone_tell_the_same_as_numbers(submission, monkeypatch):
    real = dissect("digits", submission)
    monkeypatch.setattr(anatomy, "_SMALL", 0)
    shapes = dissect("digits", submission)
    assert real.measured == "one update on the CPU"
    assert shapes.measured == "one update on shapes alone"
    assert shapes.tensors == real.tensors and shapes.other_state == real.other_state
    assert shapes.groups == real.groups and shapes.settings == real.settings


@pytest.mark.parametrize("workload", ["wmt", "criteo1tb", "imagenet_resnet", "fastmri", "ogbg"])
def test_full_models_need_no_memory(workload):
    found = dissect(workload, "nadamw")
    assert found.measured == "one update on shapes alone"
    elements, count = sum(t.elements for t in found.tensors), len(found.tensors)
    assert sum(t.state for t in found.tensors) == 8 * elements + 4 * count
    assert elements > 3e6


@pytest.mark.parametrize("submission", ["lawa_ema", "muon_nadamw_self"])
def test_the_state_is_that_of_a_trial(submission, data, tmp_path):
    found = dissect("digits", submission)
    rules = "self_tuning" if submission.endswith("_self") else "external"
    words = (f"submission={submission}", f"ruleset={rules}")
    steps = "max_steps=600"  # so many that the average has begun
    _, folder = run_inside(data, tmp_path, *words, steps, "eval_every_steps=600")
    kept = tensors(state(folder, 600)[0]["submission"])
    assert sum(t.state for t in found.tensors) + found.other_state == sum(map(nbytes, kept))


def tensors(value):
    if isinstance(value, torch.Tensor):
        return [value]
    parts = value.values() if isinstance(value, dict) else value
    return sum((tensors(part) for part in parts), []) if isinstance(value, (dict, list)) else []


def nbytes(tensor):
    return tensor.numel() * tensor.element_size()


def test_groups_others_dropout_and_end(monkeypatch, tmp_path):
    drawn = {}
    monkeypatch.setattr(explain, "plot_schedules", lambda *args: drawn.update(args=args))
    where = "{_target_: optimizers.where.DimensionsBelow, count: 2}"
    biases = "{_target_: optimizers.where.HasRole, roles: [bias]}"
    words = (
        "workload=digits",
        f"submission.others=[{{where: {biases}, optimizer: {{_target_: torch.optim.SGD, lr: 2}}}}]",
        f"submission.groups=[{{where: {where}, weight_decay: 0.5}}]",
        "submission.dropout_rate={_target_: optimizers.dropout.LinearDropout, first: 0, last: 0.5}",
        "submission.stop_factor=0.5",
        "~submission.hparams.dropout_rate",
    )
    explain.explain(list(words), png=tmp_path / "x.png")
    path, title, hint, factors, dropout, end = drawn["args"]
    assert list(factors) == ["0 NAdamW: WarmupCosine", "1 SGD: WarmupCosine"]
    assert (hint, end, dropout(8000), dropout(4000)) == (8000, 4000, 0.5, 0.25)
    assert factors["1 SGD: WarmupCosine"](800) == 1.0
    found = dissect("digits", "nadamw", *words[1:])
    assert [(t.optimizer, t.group, t.lr) for t in found.tensors][1::2] == [(1, 0, 2.0)] * 2
    assert [t.state for t in found.tensors][1::2] == [0, 0]
    assert found.settings["ends after"] == "0.5 of the step hint"


def test_a_rule_that_needs_values_gets_some(monkeypatch):
    monkeypatch.setattr(anatomy, "_SMALL", 0)
    found = custom(HERE + "Sharp")
    assert found.measured == "one update on the CPU"
    assert [t.state for t in found.tensors] == [12] * 4
    assert [t.view for t in found.tensors] == ["2 sides", "1 sides"] * 2
    assert found.tensors[0].weight_decay is None
    little = types.SimpleNamespace(available=1000)
    monkeypatch.setattr(anatomy.psutil, "virtual_memory", lambda: little)
    with pytest.raises(ConfigError, match="shapes alone"):
        custom(HERE + "Sharp")


def test_optimizers_of_other_classes_are_found():
    words = ("submission._target_=tests.support.submissions.Sam", "+submission.hparams.rho=0.1")
    words += ("submission.hparams.learning_rate=1e-3",)
    found = custom("torch.optim.SGD", *words)
    assert found.settings["batch size"] == 64
    assert [(t.optimizer, t.lr, t.state) for t in found.tensors] == [(0, 1e-3, 0)] * 4
    assert found.updates[0].schedule is None


def test_a_rule_with_a_closure():
    found = custom("torch.optim.LBFGS")
    assert found.tensors[0].state > 0 and not any(t.state for t in found.tensors[1:])


def test_a_set_up_that_trains_is_told():
    with pytest.raises(ConfigError, match="in its set-up"):
        custom("torch.optim.SGD", f"submission._target_={HERE}Greedy")


def test_pictures_differ_with_the_schedule(tmp_path):
    def picture(factor, **more):
        plot_schedules(tmp_path / "x.png", "title", 100, {"rule": factor}, **more)
        return imread(tmp_path / "x.png")

    flat, ramp = picture(None), picture(lambda step: step / 100)
    assert flat.shape == ramp.shape and not np.array_equal(flat, ramp)
    assert not np.array_equal(flat, picture(None, end=50))
    assert picture(None, dropout=lambda step: 0.1).shape[0] > flat.shape[0]
