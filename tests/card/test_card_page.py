"""The card: what it shows of finished and failed trials, that it is harmless and self-contained,
and that it never changes how a trial ends.
"""

import json
import re

import pytest

import algoperf_pt.worker
from algoperf_pt.card.__main__ import main
from algoperf_pt.card.page import page
from tests.support import browser, watched
from tests.support.runs import OPTIMIZER, result, run_inside, untimed

STEPS = ("eval_every_steps=40", "max_steps=80", "logger.first=5")
HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>\u202e"


@pytest.fixture(scope="module")
def trial(data, tmp_path_factory):
    places = (data, tmp_path_factory.mktemp("card"))
    return run_inside(*places, *STEPS)[1]


def test_what_a_finished_trial_shows(trial):
    shown = (trial / "card.html").read_text()
    for words in (
        "step_limit: max_steps came before the validation target was reached",
        "<td>eval_every_steps</td><td>40</td><td>none</td>",
        "accuracy over timed seconds",
        "target 0.985",
        "prepare_for_eval",
        "Communication: none, there is one rank.",
        "rank 0: process",
        "source_sha256",
        'href="./events.jsonl"',
    ):
        assert words in shown, words


def test_nothing_is_asked_of_anybody(trial):
    shown = (trial / "card.html").read_text()
    assert "<script" not in shown and "default-src 'none'" in shown
    assert not re.findall(r'(?:src|href)="(?!\./)', shown)


def test_phases_and_memory_are_recorded(trial):
    (rank,) = json.loads((trial / "phases.json").read_text())["ranks"]
    assert rank["steps"] == 3  # 10, 42, 74
    assert set(rank["median"]) == {"forward", "loss", "backward", "update"}
    assert all(seconds > 0 for seconds in rank["mean"].values())
    assert result(trial)["memory"][0]["peak_rss_bytes"] > 1 << 20


def test_looking_at_steps_changes_no_figure(trial, data, tmp_path, monkeypatch):
    monkeypatch.setattr("algoperf_pt.phases.Phases.begin", lambda *arguments: None)
    _, unseen = run_inside(data, tmp_path, *STEPS)
    assert json.loads((unseen / "phases.json").read_text())["ranks"][0]["steps"] == 0
    for name in ("eval_measurements.csv", "measurements.csv"):
        assert untimed(unseen, name) == untimed(trial, name)


def test_a_failed_trial_has_a_card_with_the_reason(data, tmp_path):
    wrong = [f"submission._target_={OPTIMIZER}RaiseAt", "+submission.options.at=3"]
    wrong += ["+submission.options.kind=bug", "max_steps=8", "eval_every_steps=2"]
    code, folder = run_inside(data, tmp_path, *wrong)
    shown = (folder / "card.html").read_text()
    assert "division by zero" in shown and "Files" in shown and "accuracy over" in shown
    assert code == 25 and "submission_error: the submission raised" in shown


def test_a_card_that_cannot_be_written_is_a_warning(data, tmp_path, monkeypatch):
    def broken(folder):
        raise RuntimeError("no ink")

    monkeypatch.setattr(algoperf_pt.worker, "write_card", broken)
    code, folder = run_inside(data, tmp_path, "max_steps=4", "eval_every_steps=4")
    assert code == 11 and result(folder)["status"] == "step_limit"
    last = json.loads((folder / "events.jsonl").read_text().splitlines()[-1])
    assert last["kind"] == "warning" and "no ink" in last["message"]


def test_hostile_files_are_shown_as_text(tmp_path):
    content = watched.config()
    content["submission"]["name"] = HOSTILE
    content["submission"]["hparams"] = {HOSTILE: HOSTILE}
    folder = watched.place(tmp_path, submission="<b>me<")
    watched.started(folder, content)
    watched.ended(folder, "error", message=HOSTILE)
    (folder / '"><script>.txt').touch()
    (folder / "environment.json").write_text(json.dumps({HOSTILE: HOSTILE}))
    (folder / "ledger.json").write_text('{"ranks": [{"step": "x"}, 3, {"step": NaN}]}')
    (folder / "phases.json").write_text('{"ranks": [{"median": {"a": 1e999}}, {"median": [1]}]}')
    shown = page(folder)
    assert "<script" not in shown and "<img" not in shown and "<b>" not in shown
    assert "\u202e" not in shown and "&lt;script&gt;alert(1)" in shown


@pytest.mark.parametrize("width", [1200, 390])
def test_it_fits_the_screen(trial, tmp_path, width):
    copy = tmp_path / "card.html"
    copy.write_text((trial / "card.html").read_text())
    script = "return [document.documentElement.scrollWidth, innerWidth]"
    inner, window = browser.probe(copy, script, width=width)
    assert inner <= window


def test_the_command(trial, tmp_path, capsys):
    (trial / "card.html").unlink()
    assert main([str(trial)]) == 0
    assert capsys.readouterr().out == f"{trial / 'card.html'}\n" and (trial / "card.html").exists()
    assert main([str(tmp_path)]) == 2
    assert f"{tmp_path} is no trial's folder" in capsys.readouterr().err
