"""The table of algorithms: what a cell says, and that a second call runs nothing again."""

import pytest

from scripts import algorithm_table
from scripts.algorithm_table import main, table
from scripts.choices import command, ready_submissions, scored_workloads, tiny_workloads

REACHED = {"status": "reached", "seconds": 2.56, "steps": 300}
FAR = {"metric": "wer", "best": 0.612, "target": 0.35}


def row(submission, workload="digits", **found):
    return {"submission": submission, "workload": workload, **found}


def test_cells():
    rows = [row("a", **REACHED), row("b", status="budget", **FAR)]
    rows += [row("c", status="error", message="a|b"), row("d", status="submission_done", **FAR)]
    lines = table(rows, ["a", "b", "c", "d"], ["digits"]).splitlines()
    assert lines[0] == "| submission | digits |"
    assert lines[2:] == [
        "| a | 2.6 s, 300 |",
        "| b | target not reached (wer 0.612 of 0.35) |",
        "| c | error: a/b |",
        "| d | ended itself (wer 0.612 of 0.35) |",
        "| reached | 1 of 4 |",
    ]


@pytest.mark.slow
def test_a_second_call_shows_what_is_there(tmp_path, capsys, monkeypatch):
    arguments = ["--out", str(tmp_path), "--workloads", "digits", "--submissions", "lion_self"]
    arguments += ["--budget", "0.4", "--markdown", str(tmp_path / "table.md")]
    assert main(arguments) == 0
    shown = capsys.readouterr().out
    assert "| lion_self | target not reached (accuracy 0." in shown and "0 of 1" in shown
    assert (tmp_path / "table.md").read_text() in shown

    def never(*_, **__):
        raise AssertionError("a trial is run again")

    monkeypatch.setattr(algorithm_table.subprocess, "run", never)
    assert main(arguments) == 0
    assert (tmp_path / "table.md").read_text() in capsys.readouterr().out


@pytest.mark.slow
def test_a_trial_that_cannot_begin_has_a_reason(tmp_path, capsys):
    arguments = ["--out", str(tmp_path), "--workloads", "digits", "--submissions", "custom"]
    assert main(arguments) == 1
    assert "config_error: " in capsys.readouterr().out


def test_what_can_be_run_as_it_is():
    assert {"nadamw", "soap"} <= set(ready_submissions())
    assert not {"custom", "algoperf", "target_nadamw"} & set(ready_submissions())
    assert "wmt_tiny" in tiny_workloads() and "wmt" not in tiny_workloads()
    assert "wmt" in scored_workloads() and "wmt_post_ln" not in scored_workloads()
    assert command("wmt", "nadamw_self")[-1] == "ruleset=self_tuning"
    assert command("wmt", "nadamw") == ["workload=wmt", "submission=nadamw"]
    assert command("wmt", "adamw")[-1] == "submission.space=null"  # the default point
