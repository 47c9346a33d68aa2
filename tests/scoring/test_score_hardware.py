"""Trials of different hardware are not compared, unless somebody says so, and then it shows."""

import csv
import json

import pytest

from scoring.cli import main
from scoring.hardware.classes import class_of_metadata
from tests.support.leaderboards import leaderboard

V100 = {"gpu_model_name": "Tesla V100-SXM2-16GB", "gpu.count": 8}
A100 = {"gpu_model_name": "NVIDIA A100-SXM4-40GB", "gpu.count": 8}
KERNELS = ("matmul_float32", "convolution", "attention", "copy")


def calibration(hardware, scale, device="cuda", **steps):
    """One with kernels of `scale`, 2 `scale`, ... ms and the steps that are named."""
    timed = {name: scale * (n + 1) for n, name in enumerate(KERNELS)}
    return {
        "format": 1,
        "hardware_class": hardware,
        "device": device,
        "kernels": {name: {"median_ms": ms, "size": {"side": 8}} for name, ms in timed.items()},
        "steps": {name: {"median_ms": ms, "size": {"rows": 8}} for name, ms in steps.items()},
    }


def put(root, name, meta=None, time=100.0, environment=None, calibrated=None):
    """A submission's trial on ogbg that reaches the target at `time`."""
    folder = root / name / "study_0" / "ogbg" / "trial_1"
    folder.mkdir(parents=True)
    rows = f"global_step,score,validation/mean_average_precision\n9,{time},0.9\n"
    (folder / "eval_measurements.csv").write_text(rows)
    files = {"meta_data_0": meta, "environment": environment, "calibration": calibrated}
    for stem, content in files.items():
        if content is not None:
            text = content if isinstance(content, str) else json.dumps(content)
            (folder / f"{stem}.json").write_text(text)
    return folder


def score(capsys, *arguments):
    """(exit code, stdout, stderr)."""
    code = main([*map(str, arguments), "--rules", "0.6", "--no-held-out"])
    told = capsys.readouterr()
    return code, told.out, told.err


def times(folder):
    """submission -> time to target on ogbg, from the csv."""
    with (folder / "time_to_targets.csv").open() as file:
        return {row["submission"]: float(row["ogbg"]) for row in csv.DictReader(file)}


@pytest.mark.parametrize(
    "meta, wanted",
    [
        (V100, "8xV100-16GB"),
        ({"gpu_model_name": "NVIDIA A100-SXM4-40GB", "gpu_count": 4}, "4xA100-40GB"),
        ({"gpu_model_name": "NVIDIA A100 80GB PCIe", "gpu.count": 1}, "1xA100-80GB-PCIe"),
        ({"gpu_model_name": "NVIDIA  RTX 4090", "gpu.count": 1}, "1xNVIDIA RTX 4090"),
        (
            {"cpu_model_name": "Intel(R) Xeon(R) CPU @ 2.20GHz", "gpu.count": 0, "cpu_count": 4},
            "Intel Xeon @ 2.20GHz, 4 cores",
        ),
        ({"gpu_model_name": "NVIDIA H100 80GB HBM3", "gpu.count": True}, ""),
        ({"gpu_model_name": 3, "gpu.count": 8}, ""),
        ({"cpu_model_name": "x", "cpu_count": 4}, ""),  # its GPUs are not told
        ({}, ""),
    ],
)
def test_classes_of_metadata(meta, wanted):
    assert class_of_metadata(meta) == wanted


def test_a_mix_is_refused_by_folder_and_class(tmp_path, capsys):
    one, other = put(tmp_path, "a", V100), put(tmp_path, "b", A100)
    code, out, err = score(capsys, tmp_path)
    assert code == 2 and out == ""
    for word in ("8xV100-16GB", "8xA100-40GB", str(one), str(other), "--normalise auto"):
        assert word in err


def test_one_class_by_two_names_is_no_mix(tmp_path, capsys):
    put(tmp_path, "a", V100)
    put(tmp_path, "b", environment={"hardware_class": "8xV100-16GB"})
    code, out, _ = score(capsys, tmp_path)
    assert code == 0 and "ardware" not in out


@pytest.mark.parametrize("meta", [None, {}, {"gpu_model_name": None}, "{broken"])
def test_unknown_hardware_is_no_mix(tmp_path, capsys, meta):
    put(tmp_path, "a", V100)
    put(tmp_path, "b", meta)
    assert score(capsys, tmp_path)[0] == 0


def test_steps_are_compared_on_any_hardware(tmp_path, capsys):
    put(tmp_path, "a", V100)
    put(tmp_path, "b", A100)
    assert score(capsys, tmp_path, "--time", "steps")[0] == 0


def test_the_environment_knows_better_how_many_gpus_computed(tmp_path, capsys):
    put(tmp_path, "a", V100)
    put(tmp_path, "b", V100, environment={"hardware_class": "1xV100-16GB"})
    assert score(capsys, tmp_path)[0] == 2


def test_a_mix_that_was_asked_for_is_marked_everywhere(tmp_path, capsys):
    put(tmp_path / "logs", "a", V100)
    put(tmp_path / "logs", "b", A100)
    out = tmp_path / "out"
    words = ("--out", out, "--html", "--tables", "markdown", "latex", "--bootstrap", "5")
    code, told, _ = score(capsys, tmp_path / "logs", *words, "--mix-hardware")
    mark = "mixed hardware: 8xA100-40GB; 8xV100-16GB"
    assert code == 0 and mark in told
    for path in (out / "index.html", out / "tables.md", out / "tables.tex", *out.glob("*.csv")):
        text = path.read_text()
        empty = path.suffix == ".csv" and len(text.splitlines()) == 1
        assert mark in text or empty and "hardware" in text, path


def test_times_are_normalised_by_the_step_of_the_workload(tmp_path, capsys):
    logs = tmp_path / "logs"
    slow = calibration("1xV100-16GB", 10.0, ogbg=30.0)
    fast = calibration("1xA100-40GB", 5.0, ogbg=10.0)
    put(logs, "a", V100, 300.0, calibrated=slow)
    put(logs, "b", A100, 100.0, calibrated=fast)
    reference = calibration("8xA100-40GB", 1.0, ogbg=10.0)
    (tmp_path / "reference.json").write_text(json.dumps(reference))
    words = ("--normalise", tmp_path / "reference.json", "--out", tmp_path / "out")
    code, told, err = score(capsys, logs, *words)
    assert (code, err.count("Traceback")) == (0, 0)
    assert times(tmp_path / "out") == pytest.approx({"a": 100.0, "b": 100.0})
    assert "times normalised to 8xA100-40GB" in told
    findings = (tmp_path / "out" / "findings.csv").read_text()
    assert "times 0.333333 (a step of ogbg)" in findings and "the same class" in findings


def test_kernels_stand_for_a_workload_that_was_not_timed(tmp_path, capsys):
    logs = tmp_path / "logs"
    put(logs, "a", V100, 300.0, calibrated=calibration("1xV100-16GB", 10.0))
    put(logs, "b", A100, 100.0, calibrated=calibration("1xA100-40GB", 5.0, ogbg=1.0))
    put(logs, "c", A100, 120.0)  # of the reference's class: it needs none
    code, told, _ = score(capsys, logs, "--normalise", "auto", "--out", tmp_path / "out")
    assert code == 0 and "times normalised to 8xA100-40GB" in told
    assert times(tmp_path / "out") == pytest.approx({"a": 150.0, "b": 100.0, "c": 120.0})


def test_a_trial_without_calibration_is_named(tmp_path, capsys):
    put(tmp_path, "a", A100, calibrated=calibration("1xA100-40GB", 5.0))
    folder = put(tmp_path, "b", V100)
    code, _, err = score(capsys, tmp_path, "--normalise", "auto")
    assert code == 2 and f"{folder} has no calibration.json" in err


def test_another_number_of_devices_is_not_normalised(tmp_path, capsys):
    put(tmp_path, "a", A100, calibrated=calibration("1xA100-40GB", 5.0))
    put(tmp_path, "b", {**V100, "gpu.count": 4}, calibrated=calibration("1xV100-16GB", 9.0))
    code, _, err = score(capsys, tmp_path, "--normalise", "auto")
    assert code == 2 and "4xV100-16GB" in err and "another number of devices" in err


def test_other_sizes_are_not_compared(tmp_path, capsys):
    other = calibration("1xV100-16GB", 9.0)
    other["kernels"]["copy"]["size"] = {"side": 16}
    put(tmp_path, "a", A100, calibrated=calibration("1xA100-40GB", 5.0))
    put(tmp_path, "b", V100, calibrated=other)
    code, _, err = score(capsys, tmp_path, "--normalise", "auto")
    assert code == 2 and "have no copy of the same size" in err


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "[]",
        '{"format": 2}',
        '{"format": 1, "kernels": []}',
        json.dumps({**calibration("x", 1.0), "kernels": {"copy": {"median_ms": "fast"}}}),
        json.dumps({**calibration("x", 1.0), "kernels": {"copy": {"median_ms": -1}}}),
        json.dumps({**calibration("x", 1.0), "device": "cpu"}),
    ],
)
def test_a_bad_calibration_is_one_message(tmp_path, capsys, content):
    put(tmp_path, "a", A100, calibrated=calibration("1xA100-40GB", 5.0))
    folder = put(tmp_path, "b", V100, calibrated=content)
    code, out, err = score(capsys, tmp_path, "--normalise", "auto")
    assert code in (2, 4) and out == "" and str(folder / "calibration.json") in err


@pytest.mark.parametrize(
    "words",
    [
        ("--mix-hardware", "--normalise", "auto"),
        ("--normalise", "nowhere.json"),
        ("--normalise", "auto", "--time", "steps"),
        ("--normalise", "auto", "--against", "0.6"),
    ],
)
def test_flags_that_make_no_sense(tmp_path, capsys, words):
    put(tmp_path, "a", V100)
    assert score(capsys, tmp_path, *words)[0] == 2


def test_the_published_logs_are_scored_as_before(tmp_path, capsys):
    logs = leaderboard("0.6", tmp_path).logs
    assert main([str(logs), "--rules", "0.6"]) == 0
    assert "ardware" not in capsys.readouterr().out
