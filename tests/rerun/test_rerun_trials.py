"""A trial is repeated from its own record: to the last digit where nothing differs, refused with
the differences where something does.
"""

import json
import re
import shutil

import pytest

import algoperf_pt.rerun.differences
from algoperf_pt.rerun.__main__ import main
from algoperf_pt.rerun.compare import compare
from tests.support.runs import run_inside

STEPS = ("eval_every_steps=10", "max_steps=20")


@pytest.fixture(scope="module")
def trial(data, tmp_path_factory):
    return run_inside(data, tmp_path_factory.mktemp("first"), *STEPS)[1]


@pytest.fixture
def same_source(trial, monkeypatch):
    """Somebody may edit the code while the tests run."""
    then = json.loads((trial / "environment.json").read_text())["source_sha256"]
    monkeypatch.setattr(algoperf_pt.rerun.differences, "source_hash", lambda: then)


@pytest.mark.usefixtures("same_source")
def test_to_the_last_digit(trial, tmp_path, capsys):
    assert main([str(trial), "--into", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "evaluations at the same steps: 2; of one alone: 0" in said
    assert "all figures are the same to the last digit" in said
    assert re.search(r"time a step: \d+\.\d{3} times", said) and "differs" not in said
    assert main([str(trial), "--into", str(tmp_path)]) == 2
    assert "is not empty" in capsys.readouterr().err


def test_another_code_is_refused_unless_asked_for(trial, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(algoperf_pt.rerun.differences, "source_hash", lambda: "f" * 64)
    assert main([str(trial), "--into", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert re.search(r"source: [0-9a-f]{12}\.\.\. then, f{12}\.\.\. now", error)
    assert "--anyway" in error and not list(tmp_path.iterdir())
    words = [str(trial), "--into", str(tmp_path), "--anyway", "max_steps=10"]
    assert main(words) == 0
    said = capsys.readouterr().out
    assert "differs: source" in said and "differs: max_steps: 20 then, 10 now" in said
    assert "evaluations at the same steps: 1; of one alone: 1" in said


@pytest.mark.parametrize("key, name", [("data_fingerprint", "data"), ("torch", "torch")])
def test_other_data_and_versions_are_refused(trial, tmp_path, key, name, capsys):
    copy = shutil.copytree(trial, tmp_path / "copy")
    content = json.loads((copy / "environment.json").read_text())
    (copy / "environment.json").write_text(json.dumps({**content, key: "another"}))
    assert main([str(copy), "--into", str(tmp_path / "new")]) == 2
    assert f"{name}: another then" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words, message",
    [
        (["max_step=3"], "max_step=3: "),
        (["--anyway", "max_steps"], "'max_steps' cannot be read"),
        (["data.dir=nowhere"], "nowhere"),
    ],
)
def test_wrong_words(trial, tmp_path, words, message, capsys):
    assert main([str(trial), "--into", str(tmp_path), *words]) == 2
    error = capsys.readouterr().err
    assert message in error and "Traceback" not in error


def test_no_trial(tmp_path, capsys):
    assert main([str(tmp_path)]) == 2
    assert "config.json cannot be read" in capsys.readouterr().err


def test_a_changed_figure_is_found(trial, tmp_path):
    copy = shutil.copytree(trial, tmp_path / "copy")
    assert compare(trial, copy).same
    path = copy / "eval_measurements.csv"
    head, first, *rest = path.read_text().splitlines()
    at = head.split(",").index("validation/loss")
    cells = first.split(",")
    cells[at] = "7.5"
    path.write_text("\n".join([head, ",".join(cells), *rest]) + "\n")
    found = compare(trial, copy)
    assert not found.same
    assert any(line.startswith("validation/loss: 1 differ") for line in found.lines())
