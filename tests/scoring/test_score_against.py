"""A run among published ones: the shipped times are those of the public logs; hardware decides."""

import json
from dataclasses import replace

import numpy as np
import pytest

from scoring.against.hardware import hardware_of, is_of
from scoring.against.published import published, together, write
from scoring.certainty.group import Group
from scoring.cli import main
from scoring.errors import RulesError
from scoring.logs.read import read_logs
from scoring.rules.load import load_rules
from scoring.times import trial_times

V100 = {"gpu_count": 8, "gpu_model_name": "Tesla V100-SXM2-16GB"}


@pytest.fixture
def mine(tmp_path):
    """A submission that reaches wmt's target as fast as shampoo does in 0.6, in 1,000 steps."""
    for study in range(3):
        folder = tmp_path / "mine" / f"study_{study}" / "wmt" / "trial_1"
        folder.mkdir(parents=True)
        rows = "global_step,score,validation/bleu\n1,1,0\n1000,30000,31\n"
        (folder / "eval_measurements.csv").write_text(rows)
        (folder / "meta_data_0.json").write_text(json.dumps(V100))
    return tmp_path


def test_published_scores_without_any_logs():
    rules = load_rules("0.6")
    group = Group(published("0.6", "external", rules.names).seconds, rules, "reference", "grid100")
    found = dict(zip(group.names, np.round(group.scores, 4).tolist()))
    assert found == {"baseline": 0.459, "shampoo": 0.6244}


def test_what_is_written_is_read_again(mine, tmp_path, monkeypatch):
    rules, logs = load_rules("0.6"), read_logs([mine])
    seconds, steps = (trial_times(logs, rules, clock) for clock in ("seconds", "steps"))
    write(tmp_path / "v10_self.csv", seconds, steps, "here", "8x")
    monkeypatch.setattr("scoring.against.published.files", lambda package: tmp_path)
    found = published("1.0", "self", rules.names)
    assert (found.source, found.hardware) == ("here", "8x")
    assert np.array_equal(found.seconds.seconds, seconds.seconds, equal_nan=True)
    assert np.array_equal(found.steps.seconds, steps.seconds, equal_nan=True)


def test_a_run_among_them(mine, capsys):
    assert main([str(mine), "--against", "0.6"]) == 0
    out = capsys.readouterr().out
    places = {line.split()[1]: line.split() for line in out.splitlines()[2:5]}
    assert set(places) == {"shampoo", "baseline", "mine"}
    assert places["mine"][3:6] == ["1", "of", "8"] and float(places["mine"][2]) == 0.125
    assert "seconds to target" in out and "8xV100-16GB" in out


def test_other_hardware_is_compared_by_steps_and_only_if_told(mine, capsys):
    for path in mine.rglob("meta_data_0.json"):
        path.write_text(json.dumps({**V100, "gpu_model_name": "NVIDIA H100 80GB HBM3"}))
    assert main([str(mine), "--against", "0.6"]) == 2
    out, err = capsys.readouterr()
    assert not out and "8x NVIDIA H100 80GB HBM3" in err and "--other-hardware" in err
    assert main([str(mine), "--against", "0.6", "--other-hardware"]) == 0
    assert "by steps to target" in capsys.readouterr().out
    assert main([str(mine), "--against", "0.6", "--hardware", "8xV100-16GB"]) == 0
    assert main([str(mine), "--against", "0.6", "--hardware", "1xV100-16GB"]) == 2


@pytest.mark.parametrize(
    "flags, message",
    [
        (["--against", "1.0"], "no published times; there are v05_external, v06_external"),
        (["--against", "0.6", "--rules", "0.5"], "leave --rules away"),
        (["--against", "0.6", "--bootstrap", "5"], "--bootstrap needs the logs"),
        (["--against", "0.6", "--html"], "--html needs the logs"),
    ],
)
def test_what_cannot_be_placed(mine, capsys, flags, message):
    assert main([str(mine), *flags]) == 2
    assert message in capsys.readouterr().err


def test_classes_of_hardware(mine):
    assert hardware_of(read_logs([mine])) == ("8x Tesla V100-SXM2-16GB",)
    assert is_of("8x Tesla V100-SXM2-16GB", "8xV100-16GB")
    assert not is_of("8x Tesla V100-SXM2-32GB", "8xV100-16GB")
    assert not is_of("4x Tesla V100-SXM2-16GB", "8xV100-16GB")
    assert not is_of("unknown hardware", "8xV100-16GB")
    assert is_of("4x NVIDIA A100-SXM4-40GB", "4xA100-40GB")


def test_groups_of_different_sizes():
    rules = load_rules("0.6")
    large = published("0.6", "external", rules.names).seconds
    small = replace(large, seconds=large.seconds[:1, :, :2, :1], rows=large.rows[:1, :, :2, :1])
    small = replace(small, numbers=large.numbers[:1, :, :2, :1], submissions=("x",))
    small = replace(small, studies=large.studies[:2])
    both = together(small, large, "(0.6)")
    assert both.submissions == ("x", "baseline (0.6)", "shampoo (0.6)")
    assert both.seconds.shape == (3, 8, 3, 5) and np.isnan(both.seconds[0, :, 2]).all()
    assert np.array_equal(both.seconds[1:], large.seconds, equal_nan=True)


def test_no_published_times_of_these_rules():
    with pytest.raises(RulesError, match="0.5 .self."):
        published("0.5", "self", ())
