"""Evaluations that say otherwise than the trial's own event log are not scored."""

import json

import pytest

from algoperf_pt.records import Records
from scoring.logs.read import read_logs

ROWS = [
    {"global_step": 1, "score": 0.5, "validation/loss": 3.0},
    {"global_step": 2, "score": 1.5, "validation/loss": float("nan")},
    {"global_step": 3, "score": 2.5, "validation/loss": 0.1},
]


@pytest.fixture
def folder(tmp_path):
    """A trial as the harness writes it."""
    place = tmp_path / "s" / "study_0" / "wmt" / "trial_1"
    place.mkdir(parents=True)
    records = Records(place)
    records.event("start", {})
    for row in ROWS:
        records.evaluation_row(row)
    records.event("end", {"status": "reached"})
    return place


def read(folder):
    """(finding kinds and texts, trials that were read)."""
    (folder.parents[3] / "other/study_0/wmt/trial_1").mkdir(parents=True, exist_ok=True)
    sound = folder.parents[3] / "other/study_0/wmt/trial_1/eval_measurements.csv"
    sound.write_text("score,global_step\n1,1\n")
    logs = read_logs([folder.parents[3]])
    found = [(finding.kind, finding.text) for finding in logs.findings]
    return found, [trial for trial in logs.trials if trial.submission == "s"]


def change(path, old, new):
    text = path.read_text()
    assert text.count(old) >= 1
    path.write_text(text.replace(old, new, 1))


def test_what_agrees_is_read(folder):
    findings, (trial,) = read(folder)
    assert findings == [] and trial.clock.tolist() == [0.5, 1.5, 2.5]


@pytest.mark.parametrize(
    "old, new, text",
    [
        ("0.1", "0.2", "row 3: validation/loss is 0.2; events.jsonl says 0.1"),
        ("nan", "0.0", "row 2: validation/loss is 0.0; events.jsonl says nan"),
        ("3,2.5,0.1\n", "", "2 evaluations; events.jsonl knows 3"),
        ("3,2.5,0.1\n", "3,2.5,0.1\n" * 3, "5 evaluations; events.jsonl knows 3"),
        ("validation/loss", "validation/lost", "no column 'validation/loss'"),
    ],
)
def test_what_was_changed_is_unreadable(folder, old, new, text):
    change(folder / "eval_measurements.csv", old, new)
    findings, trials = read(folder)
    assert trials == [] and [kind for kind, _ in findings] == ["unreadable"]
    assert text in findings[0][1]


def test_a_row_whose_event_a_kill_prevented_is_read(folder):
    events = (folder / "events.jsonl").read_text().splitlines(keepends=True)
    (folder / "events.jsonl").write_text("".join(events[:3]) + events[3][:50])
    findings, (trial,) = read(folder)
    assert findings == [] and len(trial.clock) == 3


@pytest.mark.parametrize("harm", ["hash", "no json", "no object"])
def test_an_event_log_that_is_damaged_is_noted_and_not_believed(folder, harm):
    if harm == "hash":
        change(folder / "events.jsonl", '"validation/loss": 0.1', '"validation/loss": 0.2')
    else:
        line = {"no json": "{", "no object": "[1]"}[harm]
        (folder / "events.jsonl").write_text(f"{line}\n")
    findings, (trial,) = read(folder)
    assert len(trial.clock) == 3 and [kind for kind, _ in findings] == ["noted"]
    assert "events.jsonl is damaged" in findings[0][1]


def test_an_integrity_error_counts_though_its_result_is_gone(folder):
    Records(folder).clear()
    records = Records(folder)
    for row in ROWS:
        records.evaluation_row(row)
    records.event("failed", {"status": "integrity_error"})
    (folder / "result.json").write_text(json.dumps({"status": "reached"}))
    _, (trial,) = read(folder)
    assert "integrity_error" in trial.void
    assert trial.first_hit("validation/loss", "min", 3.0) == -1
