"""The plan as --dry-run prints it: counts, hours, device-hours, disk, and nothing is touched."""

import json

import pytest

from algoperf_pt.heartbeat import Heartbeat, Phase
from algoperf_pt.sweep.local import Local
from algoperf_pt.sweep.report import checkpoint_bytes, make_rows, print_plan, refused
from tests.support.sweeps import finish, many, plan_of


def plan(tmp_path, *words):
    places = (f"experiment_dir={tmp_path}", "submission=nadamw")
    return plan_of("workload=wmt", *places, "study=0", "trainer.devices=4", *words)


def begin(planned, **changes):
    planned.folder.mkdir(parents=True)
    (planned.folder / "config.json").write_text(json.dumps({**planned.config(), **changes}))


def test_hours_devices_and_disk(tmp_path):
    row = make_rows(plan(tmp_path))["wmt", "nadamw"]
    assert (row.trials, row.over, row.started) == (5, 0, 0)
    assert row.hours == pytest.approx(5 * 43336 / 3600)
    assert row.device_hours == pytest.approx(4 * row.hours)
    assert row.disk == pytest.approx(5 * (2 * 12 * 133_521_408 + 4e6))


def test_what_is_over_and_what_goes_on(tmp_path):
    trials = plan(tmp_path)
    begin(trials[0])
    finish(trials[0].folder, "reached")
    begin(trials[1])
    Heartbeat(trials[1].folder / "clock.bin").beat(Phase.TRAIN, 3336.0)
    row = make_rows(trials)["wmt", "nadamw"]
    assert (row.trials, row.over, row.started) == (5, 1, 1)
    assert row.hours == pytest.approx((3 * 43336 + 40000) / 3600)
    assert row.disk < 3e6  # three new ones, as large as the one that is over
    assert refused(trials) == []


def test_another_configuration_is_told(tmp_path):
    trials = plan(tmp_path)
    begin(trials[0], max_steps=7)
    begin(trials[1])
    hparams = {**trials[2].config()["submission"], "hparams": {"beta2": 0.5}}
    begin(trials[2], submission=hparams)
    messages = refused(trials)
    assert len(messages) == 2
    assert "max_steps: 7 -> None" in messages[0] and "beta2: 0.5 ->" in messages[1]


def test_the_printed_plan(tmp_path, capsys):
    print_plan(plan(tmp_path), Local(gpus=[]))
    text = capsys.readouterr().out
    assert "rule set external of version 0.6" in text
    numbers = [line.split() for line in text.splitlines() if line.split()[:1] == ["wmt"]]
    assert numbers == [["wmt", "nadamw", "5", "0", "0", "5", "12.04", "60.19", "240.76", "16.04"]]
    assert not list(tmp_path.iterdir())


def test_a_dry_run_needs_no_data_and_starts_nothing(data, tmp_path):
    done = many(data, tmp_path, "workload=digits,cifar", "study=0", "--dry-run")
    assert done.returncode == 0, done.stdout
    assert "cifar" in done.stdout and " 10 " in done.stdout
    assert not list(tmp_path.iterdir())


def test_the_models_have_as_many_parameters_as_the_estimate_says():
    """Of the ones that take no second to build; the table was made from all of them."""
    import torch

    from algoperf_pt.assemble import make_workload
    from algoperf_pt.config import compose_config
    from algoperf_pt.spec import make_spec

    for name in ("ogbg", "ogbg_model_size", "ogbg_gelu", "wmt", "imagenet_vit_glu", "criteo1tb"):
        config = compose_config([f"workload={name}"], needs_data=False)
        with torch.device("meta"):
            workload = make_workload(config, make_spec(config), None)
        count = sum(p.numel() for p in workload.model.parameters())
        assert checkpoint_bytes(config) == 12 * count, name


def test_a_model_that_is_not_known():
    assert checkpoint_bytes({"workload": {"name": "mine", "base": None}}) is None
