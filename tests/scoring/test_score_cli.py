"""`python -m scoring` as a user meets it: output, files, exit codes, messages."""

import csv
import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from scoring.cli import main
from tests.support.leaderboards import MADE_UP

ROOT = Path(__file__).parents[2]
LOGS = str(MADE_UP / "logs")


def put(root, path, rows=((1, 0.5, 3.0), (2, 1.5, 0.1))):
    folder = root / path
    folder.mkdir(parents=True, exist_ok=True)
    lines = ["global_step,score,validation/loss", *(",".join(map(str, row)) for row in rows)]
    (folder / "eval_measurements.csv").write_text("\n".join(lines) + "\n")
    return folder


def read(path):
    return list(csv.DictReader(path.open()))


def told(capsys):
    found = capsys.readouterr()
    return found.out, found.err


def test_a_leaderboard(capsys):
    assert main([LOGS, "--rules", "0.6", "--times"]) == 0
    out, err = told(capsys)
    lines = out.splitlines()
    assert lines[0] == "Leaderboard: AlgoPerf 0.6, external tuning"
    assert [line.split()[1] for line in lines[2:5]] == ["sub_a", "sub_c", "sub_b"]
    assert "no others" in out and "1 folders outside the layout" in err


def test_the_references_mode_and_the_difference(capsys, tmp_path):
    both = ["--best-trial", "reference", "--integral", "grid100"]
    main([LOGS, "--rules", "0.6", *both, "--out", str(tmp_path / "as_reference")])
    main([LOGS, "--rules", "0.6", "--out", str(tmp_path / "default")])
    theirs = {row["submission"]: row for row in read(tmp_path / "as_reference/leaderboard.csv")}
    for row in read(tmp_path / "default" / "leaderboard.csv"):
        name = row["submission"]
        assert row["as the reference"] == theirs[name]["score"]
        difference = float(row["score"]) - float(theirs[name]["score"])
        assert float(row["difference"]) == pytest.approx(difference, abs=1e-15)
        assert float(theirs[name]["difference"]) == 0


def test_files(capsys, tmp_path):
    put(tmp_path, "logs/baseline/study_0/criteo1tb_jax/trial_1")
    put(tmp_path, "logs/other/study_0/criteo1tb_jax/trial_1", [(1, 0.5, 0.1)])
    (tmp_path / "logs/other/study_0/ogbg_jax/trial_1").mkdir(parents=True)
    assert main([str(tmp_path / "logs"), "--rules", "0.5", "--out", str(tmp_path / "out")]) == 0
    names = {path.stem for path in (tmp_path / "out").iterdir()}
    assert names == {
        *("leaderboard", "time_to_targets", "cells", "performance_profiles", "speedups"),
        *("studies", "trials", "step_times", "findings"),
    }
    times = {row["submission"]: row for row in read(tmp_path / "out/time_to_targets.csv")}
    assert times["baseline"]["criteo1tb"] == "1.5" and times["other"]["ogbg"] == ""
    cells = {(r["submission"], r["workload"]): r for r in read(tmp_path / "out/cells.csv")}
    assert cells["other", "criteo1tb"]["status"] == "held_out_failed:criteo1tb_embed_init"
    trials = {(r["submission"], r["workload"]): r for r in read(tmp_path / "out/trials.csv")}
    assert trials["baseline", "criteo1tb"]["status"] == "reached"
    assert trials["other", "ogbg"]["status"] == "no_evaluations"
    findings = read(tmp_path / "out/findings.csv")
    assert ("missing", "no eval_measurements.csv") in [(f["kind"], f["text"]) for f in findings]
    profiles = read(tmp_path / "out/performance_profiles.csv")
    assert len(profiles) == 2 and len(profiles[0]) == 101


def test_own_trials_with_statuses_and_development_rules(capsys, tmp_path):
    folder = put(tmp_path, "logs/mine/study_0/tiny/trial_1")
    meta = {
        "workload.target_metric_name": "loss",
        "workload.validation_target_value": 0.2,
        "workload.max_allowed_runtime_sec": 30.0,
    }
    (folder / "meta_data_0.json").write_text(json.dumps(meta))
    (folder / "result.json").write_text('{"status": "reached"}')
    failed = tmp_path / "logs/mine/study_0/tiny/trial_2"
    failed.mkdir()
    (failed / "result.json").write_text('{"status": "out_of_memory_train"}')
    for trial, name, text in (
        (3, "result.json", '{"status": "hung"}'),
        (4, "config.json", "{}"),
        (5, "result.json", '{"status": "budget"}'),
    ):
        folder = put(tmp_path, f"logs/mine/study_0/tiny/trial_{trial}", [(1, 0.5, 3.0)])
        (folder / name).write_text(text)
    put(tmp_path, "logs/other/study_0/tiny/trial_1")
    out = tmp_path / "out"
    assert main([str(tmp_path / "logs"), "--rules", "development", "--out", str(out)]) == 0
    found = [(row["trial"], row["status"]) for row in read(out / "trials.csv")]
    assert found == [
        *(("1", "reached"), ("3", "hung"), ("4", "unfinished"), ("5", "budget")),
        *(("1", "reached"), ("2", "out_of_memory_train")),
    ]
    findings = [(Path(row["path"]).name, row["text"]) for row in read(out / "findings.csv")]
    assert {name: text.split()[0] for name, text in findings if "as a miss" in text} == {
        "trial_3": "hung",
        "trial_4": "unfinished",
    }
    assert ("study_0", "tiny has 1 trials; the rules ask for 5") in findings
    assert "Leaderboard: Development workloads, external tuning" in told(capsys)[0]


def test_a_broken_file_is_named_and_changes_the_exit_code(capsys, tmp_path):
    put(tmp_path, "a/study_0/criteo1tb_jax/trial_1")
    put(tmp_path, "a/study_0/criteo1tb_jax/trial_2", [("x", 1, 2)])
    put(tmp_path, "b\x1b[31m/study_0/criteo1tb_jax/trial_1")
    put(tmp_path, "b\x1b[31m/study_0/criteo1tb_jax/trial_2", [("y", 1, 2)])
    assert main([str(tmp_path), "--rules", "0.6"]) == 1
    out, err = told(capsys)
    assert "trial_2/eval_measurements.csv: line 2: 'x' is no number" in err
    assert "exit code 1" in err and "\x1b" not in out + err


def test_strict(capsys, tmp_path):
    assert main([LOGS, "--rules", "0.6", "--strict"]) == 3
    out, err = told(capsys)
    assert not out and "the rules ask for" in err and "more" in err
    for study in range(3):
        for name in ("criteo1tb", "ogbg", "wmt"):
            put(tmp_path, f"a/study_{study}/{name}_jax/trial_1")
    asked = [str(tmp_path), "--rules", "0.6", "--ruleset", "self", "--qualification", "--strict"]
    assert main(asked) == 3  # ogbg and wmt lack the column of their target
    assert "no column validation/bleu" in told(capsys)[1]
    for path in tmp_path.glob("a/*/*_jax/trial_1/eval_measurements.csv"):
        path.write_text(
            "global_step,score,validation/bleu,validation/loss,validation/mean_average_precision\n"
            "1,1,31,0.1,0.3\n"
        )
    assert main(asked) == 0
    put(tmp_path, "a/study_1/wmt_jax/trial_2")
    assert main(asked) == 3


def test_odd_things_are_findings(tmp_path):
    folder = put(tmp_path, "logs/a/study_0/criteo1tb_jax/trial_1", [(1, 1, "nan"), (2, 1e6, 0.1)])
    (folder / "meta_data_0.json").write_text('{"workload.validation_target_value": 0.2}')
    main([str(tmp_path / "logs"), "--rules", "0.6", "--out", str(tmp_path / "out")])
    texts = "\n".join(row["text"] for row in read(tmp_path / "out" / "findings.csv"))
    assert "run for the target 0.2; scored by 0.123735" in texts
    assert "1 of 2 evaluations have no validation/loss" in texts
    assert "reached at 1000000.0 s, after the budget of 7703 s" in texts
    assert "no evaluations on wmt" in texts and "criteo1tb has 1 studies; the rules ask" in texts


@pytest.mark.parametrize(
    "flags, code, message",
    [
        ([], 2, "Give --rules VERSION, one of 0.5, 0.6, 1.0"),
        (["--rules", "0.7"], 2, "no rules of version '0.7'"),
        (["--rules", "0.6", "--tau-max", "1"], 2, "--tau-max 1: expected a number above 1"),
        (["--rules", "0.6", "--tau-max", "nan"], 2, "--tau-max nan"),
        (["--rules", "0.6", "--only", "nobody"], 2, "there are sub_a, sub_b, sub_c"),
        (["--rules", "0.6", "--baseline", "nobody"], 2, "--baseline 'nobody'"),
        (["--rules", "0.6", "--skip", LOGS + "/sub_a", "--only", "sub_a"], 2, "no such submission"),
        (["--rules", "0.6", "--target", "wmt=x"], 2, "--target 'wmt=x'"),
        (["--rules", "0.6", "--out", "/proc/nowhere"], 2, "can be written"),
    ],
)
def test_flags_that_make_no_sense(capsys, flags, code, message):
    assert main([LOGS, *flags]) == code
    assert message in told(capsys)[1]


def test_logs_that_cannot_be_scored(capsys, tmp_path):
    assert main([str(tmp_path / "nowhere"), "--rules", "0.6"]) == 4
    assert "is no folder" in told(capsys)[1]
    put(tmp_path, "a/study_0/mine/trial_1")
    assert main([str(tmp_path), "--rules", "0.6"]) == 2
    assert "--rules development" in told(capsys)[1]
    put(tmp_path, "a/study_0/criteo1tb_jax/trial_1")
    put(tmp_path, "a/study_0/criteo1tb_pytorch/trial_1")
    assert main([str(tmp_path), "--rules", "0.6"]) == 4
    assert "is there twice" in told(capsys)[1]


def test_some_submissions_and_what_if(capsys):
    asked = [LOGS, "--rules", "0.6", "--only", "sub_a", "sub_b", "--exclude", "ogbg"]
    assert main([*asked, "--baseline", "sub_a"]) == 0
    out = told(capsys)[0]
    assert "sub_c" not in out and "Speed against sub_a" in out and "What if: without ogbg" in out


def test_it_needs_nothing_else_of_the_project_and_no_framework():
    code = (
        "import sys, scoring.cli; scoring.cli.main(sys.argv[1:]); "
        "print(*sorted({name.partition('.')[0] for name in sys.modules}), file=sys.stderr)"
    )
    command = [sys.executable, "-c", code, LOGS, "--rules", "0.6", "--bootstrap", "10"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True)
    loaded = set(done.stderr.splitlines()[-1].split())
    heavy = {"torch", "pandas", "matplotlib", "hydra", "lightning", "yaml", "scipy"}
    assert "scoring" in loaded and not loaded & heavy
    assert not loaded & {"algoperf_pt", "timing", "workloads", "optimizers"}


def test_the_package_of_its_own_has_every_folder():
    told_of = tomllib.loads((ROOT / "scoring" / "pyproject.toml").read_text())
    listed = set(told_of["tool"]["setuptools"]["packages"])
    found = {path.parent for path in (ROOT / "scoring").rglob("*.py")}
    assert listed == {str(path.relative_to(ROOT)).replace("/", ".") for path in found}
