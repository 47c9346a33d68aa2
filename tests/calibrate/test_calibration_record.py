"""Does a calibration lead a trial only where it holds, and do both tables of classes agree?"""

import json
import tomllib
from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf

from algoperf_pt.calibrate import host as host_module
from algoperf_pt.calibrate import record
from algoperf_pt.calibrate.classes import cpu_class, gpu_class
from algoperf_pt.doctor.finding import examined
from scoring.hardware import classes as of_scoring
from tests.support.runs import run_inside

ROOT = Path(__file__).parents[2]
CPU = torch.device("cpu")


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Where this user's calibration would lie; there is none yet."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("ALGOPERF_CALIBRATION", raising=False)
    return tmp_path / "cache" / "algoperf_pt" / "calibration.json"


def made(threads=1):
    """A calibration of this machine, without figures."""
    return {**record.head(CPU, threads), "kernels": {}, "steps": {}}


def test_a_trial_takes_the_calibration_along(place, data, tmp_path):
    record.write(place, made())
    folder = run_inside(data, tmp_path / "e", "max_steps=2")[1]
    assert json.loads((folder / "calibration.json").read_text()) == made()
    environment = json.loads((folder / "environment.json").read_text())
    assert environment["calibration"] == "carried"
    assert environment["hardware_class"] == made()["hardware_class"]
    assert environment["hardware_class"].endswith(", 1 core")


def test_an_uncalibrated_machine_runs_trials_all_the_same(place, data, tmp_path):
    folder = run_inside(data, tmp_path / "e", "max_steps=2")[1]
    assert not (folder / "calibration.json").exists()
    environment = json.loads((folder / "environment.json").read_text())
    assert environment["calibration"] == "none: this machine has not been calibrated"


@pytest.mark.parametrize(
    "change, word",
    [
        ({"fingerprint": "0" * 64}, "another machine or software (fingerprint)"),
        ({"device": "cuda"}, "device cuda"),
        ({"threads": 2}, "2 threads; here are 1"),
        ({"format": 2}, "format 2"),
        ({"kernels": 3}, "kernels is 3"),
    ],
)
def test_what_does_not_hold_is_left_with_its_reason(place, change, word):
    record.write(place, {**made(), **change})
    content, words = record.for_trial(CPU, 1)
    assert content is None and words.startswith("none: ") and word in words


def test_new_software_makes_it_void_and_is_named(place, monkeypatch):
    record.write(place, made())
    monkeypatch.setattr(host_module.torch, "__version__", "9.9")
    assert "(torch)" in record.for_trial(CPU, 1)[1]


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "[" * 100_000, '{"format": 1}'])
def test_a_broken_file_stops_no_trial(place, text):
    place.parent.mkdir(parents=True)
    place.write_text(text)
    assert record.for_trial(CPU, 1)[0] is None
    with pytest.raises(record.CalibrationError, match="calibration.json"):
        record.read(place)


def test_a_variable_names_another_place(place, monkeypatch, tmp_path):
    monkeypatch.setenv("ALGOPERF_CALIBRATION", str(tmp_path / "mine.json"))
    assert "mine.json does not exist" in record.for_trial(CPU, 1)[1]
    record.write(tmp_path / "mine.json", made())
    assert record.for_trial(CPU, 1) == (made(), "carried")


def test_the_doctor_tells_of_it(place):
    def look(found):
        record.look_at_calibration(found.facts.append, found.wrong)

    assert examined("calibration", look).problems == []
    record.write(place, {**made(), "fingerprint": "0" * 64})
    (problem,) = examined("calibration", look).problems
    assert problem.fix == "python -m algoperf_pt.calibrate"
    place.write_text("{")
    assert len(examined("calibration", look).problems) == 1
    record.write(place, made())
    assert examined("calibration", look).facts == [f"{place}: {made()['hardware_class']}"]


def test_both_tables_of_classes_are_one():
    ours = OmegaConf.to_container(OmegaConf.load(ROOT / "algoperf_pt/calibrate/classes.yaml"))
    theirs = tomllib.loads((ROOT / "scoring/hardware/classes.toml").read_text())
    assert ours == {key: theirs[key] for key in ours}


@pytest.mark.parametrize(
    "name", ["Tesla V100-SXM2-16GB", "NVIDIA A100-PCIE-40GB", "NVIDIA H100 PCIe", "Apple  M9"]
)
def test_both_packages_name_classes_alike(name):
    assert gpu_class(name, 8) == of_scoring.gpu_class(name, 8)
    cpu = f"{name}(R) CPU(TM) Processor @ 2.0GHz"
    assert cpu_class(cpu, 2) == of_scoring.cpu_class(cpu, 2) != cpu_class(cpu, 1)


def test_names_of_classes():
    assert gpu_class("NVIDIA A100-SXM4-40GB", 4) == "4xA100-40GB"
    assert gpu_class("NVIDIA A100-PCIE-40GB", 4) == "4xA100-40GB-PCIe"
    assert cpu_class("Intel(R) Xeon(R) CPU @ 2.20GHz", 1) == "Intel Xeon @ 2.20GHz, 1 core"
