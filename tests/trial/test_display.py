"""What a user sees while a trial runs, on a terminal and in a log file."""

import io

import pytest
from rich.console import Console

from algoperf_pt.display import PlainDisplay, RichDisplay, make_display
from tests.support.runs import run_inside

STEPS = ("max_steps=10", "eval_every_steps=5")


def test_plain_lines_and_the_table_at_the_end(data, tmp_path, capsys):
    run_inside(data, tmp_path, *STEPS, "display=plain")
    shown = capsys.readouterr().out
    for text in ("step 1 ", "loss 2.", "best accuracy", "target 0.985", "evaluation at step 5"):
        assert text in shown
    for text in ("status", "step_limit", "time to validation target", "not reached"):
        assert text in shown
    for bucket in ("data", "prepare_for_eval", "checkpoint", "set-up (untimed)"):
        assert bucket in shown


def test_nothing_is_shown_when_nothing_is_wanted(data, tmp_path, capsys):
    run_inside(data, tmp_path, *STEPS, "display=none")
    assert capsys.readouterr().out == ""


def test_live_table(data, tmp_path, monkeypatch):
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=100)
    live = RichDisplay(console)
    monkeypatch.setattr("algoperf_pt.assemble.make_display", lambda kind: [live])
    run_inside(data, tmp_path, *STEPS)
    shown = out.getvalue()
    for text in ("digits / nadamw", "next evaluation", "ETA", "of 30 s", "best accuracy"):
        assert text in shown


@pytest.mark.parametrize(
    "kind, classes", [("none", []), ("plain", [PlainDisplay]), ("auto", [PlainDisplay])]
)
def test_choice(kind, classes, monkeypatch):
    assert [type(display) for display in make_display(kind)] == classes
