"""Does the command understand what it is given, and do its exit codes say what it found?"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from algoperf_pt.check import __main__ as command
from algoperf_pt.check.findings import CHECKS, FAIL, WARN, Finding, Report
from algoperf_pt.check.subject import find_subject
from algoperf_pt.errors import ConfigError
from algoperf_pt.new import new
from tests.support.runs import environment

HERE = Path(__file__).parent
REFERENCE = HERE.parent / "reference" / "submissions"


def test_a_warning_fails_only_with_strict():
    report = Report("mine", ["digits"])
    assert report.worst == "pass" and report.exit_code(True) == 0
    report.findings.append(Finding("names", WARN, "holds 'wmt'", "mine.py:3", "one rule"))
    assert (report.exit_code(False), report.exit_code(True)) == (0, 1)
    report.findings.append(Finding("pause", FAIL, "worked", workload="digits"))
    report.findings.append(Finding("pause", FAIL, "worked", workload="wmt_tiny"))
    assert report.exit_code(False) == 1
    lines = report.lines()
    assert "      fail: worked (digits, wmt_tiny)" in lines
    assert "      warn: mine.py:3: holds 'wmt'" in lines and "      fix: one rule" in lines
    told = json.loads(report.as_json())
    assert [c["check"] for c in told["checks"]] == list(CHECKS) and told["verdict"] == "fail"


def test_a_check_that_was_not_made_is_no_pass():
    report = Report("mine", [])
    report.not_done["pause"] = "not run"
    assert report.verdict("pause") == "warn" and report.exit_code(True) == 1


def test_a_finding_has_a_known_check():
    with pytest.raises(ValueError):
        Finding("weather", FAIL, "rain")


def test_what_can_be_given(tmp_path, monkeypatch):
    scratch = tmp_path / "scratch"
    assert find_subject("nadamw", [], scratch).words == ("submission=nadamw",)
    given = find_subject(str(REFERENCE / "adam"), [], scratch)
    assert given.reference and f"submission.space={REFERENCE / 'adam'}" in given.words[-1]
    assert find_subject(str(REFERENCE / "ends"), [], scratch).words[-1] == "ruleset=self_tuning"
    beside = find_subject(str(HERE / "honest" / "sam.py"), [], scratch)
    assert beside.name == "sam" and beside.words == ("submission=checked_sam",)
    assert "_target_: sam.Sam" in (scratch / "conf/submission/checked_sam.yaml").read_text()
    one = find_subject(f"{HERE / 'honest' / 'ema.py'}:Ema", [], scratch)
    assert one.python_path[0] == HERE / "honest"
    folder = new("submission", "my_rule", tmp_path)
    made = find_subject(str(folder), [], scratch)
    assert (made.config_dir, made.python_path) == (folder / "conf", (tmp_path,))
    assert [path.name for path in made.files] == ["__init__.py", "optimizer.py"]
    rule = find_subject(f"{folder / 'optimizer.py'}", [], scratch)
    assert "optimizer: {_target_: optimizer.MyRule" in next(
        (scratch / "conf/submission").glob("*my_rule*")
    ).read_text()
    assert rule.words == ("submission=checked_my_rule",)


@pytest.mark.parametrize("given", ["nowhere", "no/such.py", "no/such.yaml", "a b.c", "conf"])
def test_what_is_not_there_is_an_error(given, tmp_path):
    with pytest.raises(ConfigError, match="there is no submission|holds 0 subm"):
        find_subject(given, [], tmp_path)


def test_a_file_that_is_no_python_is_an_error(tmp_path):
    (tmp_path / "x.py").write_text("def (:\n")
    with pytest.raises(ConfigError, match="cannot be read as Python"):
        find_subject(str(tmp_path / "x.py"), [], tmp_path)
    (tmp_path / "y.py").write_text("x = 1\n")
    with pytest.raises(ConfigError, match="defines no class"):
        find_subject(str(tmp_path / "y.py"), [], tmp_path)


@pytest.mark.parametrize(
    "words, says",
    [
        (["nowhere"], "there is no submission 'nowhere'"),
        (["nadamw", "--steps", "1"], "--steps 1"),
        (["nadamw", "what"], "'what' is no KEY=VALUE"),
        (["nadamw", "--static", "submission.grad_clip=-1"], "impossible value -1"),
        (["nadamw", "--workloads", "dgits"], "dgits"),
        (["nadamw", "--json", "/no/where/x.json"], "there is no folder"),
    ],
)
def test_bad_input_is_one_message_and_two(words, says, capsys):
    assert command.main(words) == 2
    error = capsys.readouterr().err
    assert says in error and "Traceback" not in error


def test_a_yaml_with_a_slip_is_bad_input(tmp_path, capsys):
    (tmp_path / "mine.yaml").write_text("name: mine\nhparams: {lr: 0.1\n")
    assert command.main([str(tmp_path / "mine.yaml"), "--static"]) == 2
    assert "a YAML cannot be read" in capsys.readouterr().err


def test_reading_alone(capsys, tmp_path):
    out = tmp_path / "report.json"
    words = [str(HERE / "cheats" / "knows_names.py"), "--static", "--json", str(out)]
    assert command.main(words) == 0
    said = capsys.readouterr().out
    assert "warn  names" in said and "cheats/knows_names.py:10: reads workload.spec.name" in said
    assert json.loads(out.read_text())["verdict"] == "warn"
    assert command.main([*words, "--strict"]) == 1


def test_a_hyperparameter_that_nothing_reads_fails(tmp_path, checked, found):
    (tmp_path / "mine.yaml").write_text(
        "name: mine\nhparams: {lr: 0.1, unused: 2}\n"
        "optimizer: {_target_: torch.optim.SGD, lr: '${submission.hparams.lr}'}\n"
    )
    report = checked(tmp_path / "mine.yaml", workloads=(), compared=("digits",))
    assert "'unused'" in found(report, "hyperparameters")[0][1]
    assert report.exit_code(strict=False) == 1
    cheats = (HERE / "cheats" / "plain.py").read_text()
    (tmp_path / "other.py").write_text(cheats)
    text = "_target_: other.Plain\nname: other\nhparams: {forgotten: 1}\n"
    (tmp_path / "other.yaml").write_text(text)
    report = checked(tmp_path / "other.py")
    assert found(report, "hyperparameters") == [(FAIL, "nothing reads 'forgotten'")]


def test_what_a_submission_raises_has_its_line(tmp_path, checked, found):
    text = (HERE / "cheats" / "plain.py").read_text()
    (tmp_path / "broken.py").write_text(text.replace("zero_grad()", "zero_gradient()"))
    report = checked(tmp_path / "broken.py")
    assert report.verdict("runs") == FAIL and report.not_done["pause"].endswith("digits")
    assert "AttributeError" in found(report, "runs")[0][1]
    (finding,) = [f for f in report.findings if f.check == "runs"]
    assert finding.where.endswith("broken.py:17")


def test_a_submission_for_algoperf(checked, found):
    report = checked(REFERENCE / "adam")
    assert report.findings == [] and report.worst == "pass"


@pytest.mark.slow
def test_the_command_runs_in_fresh_processes(all_data, tmp_path):
    words = ["digits", "--data", str(all_data.prepared("digits")), "--workloads"]
    honest = [str(HERE / "honest" / "line_search.py"), *words[1:], "digits"]
    python = [sys.executable, "-P", "-m", "algoperf_pt.check"]
    done = subprocess.run(
        [*python, *honest], env=environment(), cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == "pass: line_search, run on digits"
    assert done.stderr == "1 of 1: digits\n"
