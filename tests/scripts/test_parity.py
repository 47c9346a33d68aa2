"""The comparison with golden fixtures: ours pass; a changed value or a broken folder does not."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest

from algoperf_pt.agreement import ABSOLUTE, EACH, MAXIMUM, error
from algoperf_pt.errors import DataError
from algoperf_pt.golden import filled, recipe
from scripts.parity import main
from tests.support.runs import ROOT, environment

GOLDEN = ROOT / "tests" / "golden"
LARGE = 200_000_000  # parameters beyond which a fixture takes 7 GiB: make parity compares those
EVERY = sorted(path.parent for path in GOLDEN.glob("*/params.json"))
FIXTURES = [f for f in EVERY if json.loads((f / "params.json").read_text())["n_params"] <= LARGE]


@pytest.fixture
def mnist(tmp_path):
    """A copy that may be changed."""
    return shutil.copytree(GOLDEN / "mnist", tmp_path / "copy")


def change(path, **values):
    """Replace arrays of an .npz file by what functions make of them."""
    with np.load(path, allow_pickle=False) as file:
        arrays = dict(file)
    for key, function in values.items():
        arrays[key] = function(arrays[key])
    np.savez(path, **arrays)


def nudge(array):
    """One value changed."""
    array = np.array(array, copy=True)
    array.reshape(-1)[0] += 0.01 * (abs(array).max() or 1.0)
    return array


def run(capsys, *arguments):
    code = main(["--fixture", *map(str, arguments)])
    out, err = capsys.readouterr()
    return code, out + err


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("folder", FIXTURES, ids=lambda path: path.name)
def test_we_compute_what_the_reference_does(folder, capsys):
    code, text = run(capsys, folder)
    assert code == 0, text
    assert "0 failed" in text and "not checked: nothing" in text


def test_as_a_command():
    command = [sys.executable, "scripts/parity.py", "--fixture", "tests/golden/mnist"]
    done = subprocess.run(command, cwd=ROOT, env=environment(), capture_output=True, text=True)
    assert done.returncode == 0 and "case0/eval_logits" in done.stdout, done.stderr


@pytest.mark.parametrize(
    "key",
    [
        "eval_logits",
        "loss_ls0_nomask_summed",
        "loss_ls1_mask_per_example",
        "loss_ls0_mask_n_valid",
        "metrics_masked_accuracy_loss",
        "train_logits",
        "train_loss",
        "train_grad_l2",
    ],
)
def test_a_changed_value_is_found(mnist, capsys, key):
    change(mnist / "case0.npz", **{key: nudge})
    code, text = run(capsys, mnist)
    assert code == 1
    assert text.strip().endswith(f"1 failed case0/{key}")


def test_a_changed_preprocessing_is_found(mnist, capsys):
    change(mnist / "preprocess.npz", out_nchw=nudge)
    code, text = run(capsys, mnist)
    assert code == 1 and text.strip().endswith("1 failed preprocess/out_nchw")


def test_other_targets_change_the_losses_alone(mnist, capsys):
    change(mnist / "case0.npz", targets=lambda targets: (targets + 1) % 10)
    code, text = run(capsys, mnist)
    failed = text.strip().splitlines()[-1]
    assert code == 1
    assert "case0/loss_ls0_nomask_summed" in failed and "case0/train_grad_l2" in failed
    assert "logits" not in failed and "argmaxlabels" not in failed


def test_a_shape_that_differs_is_said(mnist, capsys):
    change(mnist / "case0.npz", eval_logits=lambda logits: logits[:3])
    code, text = run(capsys, mnist)
    assert code == 1 and "shape [4, 10], expected [3, 10]" in text


def test_nan_is_never_right(mnist, capsys):
    change(mnist / "case0.npz", inputs=lambda inputs: inputs * np.float32("nan"))
    code, text = run(capsys, mnist, "--tolerance", "eval_logits=inf")
    assert code == 1 and "case0/eval_logits" in text.strip().splitlines()[-1]


@pytest.mark.parametrize(
    "key, value, message",
    [
        ("type", "BIAS", "net.layer1.weight is WEIGHT, not BIAS"),
        ("shape", [128, 783], "net.layer1.weight is [128, 784], not [128, 783]"),
        ("name", "net.layer9.weight", "no tensor 'net.layer9.weight'"),
        ("fill", "sometimes", "unknown fill 'sometimes'"),
    ],
)
def test_a_model_that_differs_is_named(mnist, capsys, key, value, message):
    params = json.loads((mnist / "params.json").read_text())
    params["tensors"][0][key] = value
    (mnist / "params.json").write_text(json.dumps(params))
    code, text = run(capsys, mnist)
    assert code == (1 if key == "type" else 2) and message in text


def test_an_initialisation_that_differs_is_named(mnist, capsys):
    statistics = json.loads((mnist / "init.json").read_text())
    statistics[0]["std"] *= 1.5
    (mnist / "init.json").write_text(json.dumps(statistics))
    code, text = run(capsys, mnist)
    assert code == 1 and "worst: net.layer1.weight" in text and "failed init/std" in text


def test_keys_that_nothing_is_compared_with_are_named(mnist, capsys):
    with np.load(mnist / "case0.npz", allow_pickle=False) as file:
        np.savez(mnist / "case0.npz", strange=np.zeros(3), **file)
    (mnist / "dropout.json").write_text("{}")
    code, text = run(capsys, mnist)
    assert code == 0 and "not checked: case0/strange, dropout.json" in text


def test_a_fixture_with_nothing_to_compare_does_not_pass(mnist, capsys):
    np.savez(mnist / "case0.npz", strange=np.zeros(3))
    code, text = run(capsys, mnist)
    assert code == 2 and "has no key" in text


def test_another_workload_is_refused(mnist, capsys):
    code, text = run(capsys, mnist, "--workload", "digits")
    assert code == 2 and "net.layer1.weight is [128, 64], not [128, 784]" in text


def test_tolerances_from_the_command_line(mnist, capsys):
    change(mnist / "case0.npz", eval_logits=nudge)
    assert run(capsys, mnist, "--tolerance", "eval_logits=0.1")[0] == 0
    assert run(capsys, mnist, "--tolerance", "case0/eval_*=0.1")[0] == 0
    assert run(capsys, mnist, "--tolerance", "train_logits=0.1")[0] == 1
    code, text = run(capsys, mnist, "--tolerance", "nothing=0.1")
    assert code == 2 and "--tolerance nothing: no such key" in text
    for wrong in ("eval_logits", "eval_logits=x", "=1", "eval_logits=-1"):
        code, text = run(capsys, mnist, "--tolerance", wrong)
        assert code == 2 and "KEY=NUMBER" in text


def test_an_unknown_workload(mnist, capsys):
    params = json.loads((mnist / "params.json").read_text())
    (mnist / "params.json").write_text(json.dumps(params | {"workload": "minst"}))
    code, text = run(capsys, mnist)
    assert code == 2 and "there is no workload 'minst'" in text and "mnist" in text
    assert run(capsys, mnist, "--workload", "mnist")[0] == 0


@pytest.mark.parametrize("name", ["params.json", "case0.npz"])
def test_a_missing_file(mnist, capsys, name):
    (mnist / name).unlink()
    code, text = run(capsys, mnist)
    assert code == 2 and f"has no {name}" in text


def test_files_that_cannot_be_read(mnist, capsys):
    (mnist / "case0.npz").write_bytes(b"no archive")
    code, text = run(capsys, mnist)
    assert code == 2 and "case0.npz cannot be read" in text
    (mnist / "params.json").write_text("{")
    code, text = run(capsys, mnist)
    assert code == 2 and "params.json cannot be read" in text


def test_inputs_that_are_missing(mnist, capsys):
    with np.load(mnist / "case0.npz", allow_pickle=False) as file:
        arrays = {key: array for key, array in file.items() if key != "inputs"}
    np.savez(mnist / "case0.npz", **arrays)
    code, text = run(capsys, mnist)
    assert code == 2 and "case0.npz has no 'inputs'" in text


def test_what_an_error_is_relative_to():
    found, expected = np.array([1.1, 10.0, np.inf]), np.array([1.0, 10.0, np.inf])
    assert error(found, expected, ABSOLUTE) == pytest.approx(0.1)
    assert error(found, expected, MAXIMUM) == pytest.approx(0.01)
    assert error(found, expected, EACH) == pytest.approx(0.1)
    assert np.isnan(error(np.array([np.nan]), np.array([1.0]), ABSOLUTE))
    assert error(np.array([np.nan]), np.array([np.nan]), ABSOLUTE) == 0.0


def test_the_rules_by_which_weights_follow_from_names():
    z = recipe("a", (4, 6))
    assert z.dtype == np.float32 and not np.array_equal(z, recipe("b", (4, 6)))
    wanted = {
        "z/sqrt(numel/shape[0])": z / np.sqrt(6),
        "1+0.1*z": 1 + 0.1 * z,
        "0.1z": 0.1 * z,
        "1+0.1|z|": 1 + 0.1 * abs(z),
        "1+0.1*abs(z)": 1 + 0.1 * abs(z),
        "0.02*z": 0.02 * z,
        "0.02*sin(arange(numel)+crc32(name)%1000)": 0.02
        * np.sin(np.arange(24) + 0xE8B7BE43 % 1000).reshape(4, 6),
    }
    for fill, values in wanted.items():
        made = filled({"name": "a", "shape": [4, 6], "fill": fill})
        assert made.dtype == np.float32 and np.allclose(made, values, rtol=1e-6), fill
    assert filled({"name": "a", "shape": [], "fill": "keep"}) is None
    with pytest.raises(DataError, match="unknown fill"):
        filled({"name": "a", "shape": [1], "fill": "z*z"})
