"""One changed digit, one cut line, one swapped file: each is named.  Sound trials are sound, also
killed, resumed, stopped and failed ones.
"""

import hashlib
import json
import re
import shutil

import pytest

from algoperf_pt.verify.__main__ import main
from algoperf_pt.verify.trial import verify
from tests.support.runs import OPTIMIZER, run_command, run_inside

STEPS = ("eval_every_steps=10", "max_steps=30")


@pytest.fixture(scope="module")
def sound(data, tmp_path_factory):
    """A finished trial."""
    return run_inside(data, tmp_path_factory.mktemp("verify"), *STEPS)[1]


@pytest.fixture
def trial(sound, tmp_path):
    """A copy of it, to be harmed."""
    return shutil.copytree(sound, tmp_path / "trial")


def change(path, pattern, by, count=1):
    text = path.read_text()
    new = re.sub(pattern, by, text, count=count)
    assert new != text
    path.write_text(new)


def other_digit(path, pattern):
    """Change a digit of what the pattern finds first: the last one, or the last that a float
    always keeps.
    """
    found = re.search(pattern, path.read_text()).group(0)
    at = len(found) - (1 if len(re.sub(r"\D", "", found)) < 12 else 4)
    other = str((int(found[at]) + 1) % 10)
    change(path, re.escape(found), found[:at] + other + found[at + 1 :])


def test_a_finished_trial_is_sound(sound):
    verdict = verify(sound)
    assert verdict.sound, verdict.text
    assert "step_limit" in verdict.text and "3 evaluations, 2 checkpoints" in verdict.text
    assert "hide" not in verdict.text


def cut_last_line(folder):
    path = folder / "events.jsonl"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))


def cut_to_two_lines_without_a_result(folder):
    """Its checkpoints still tell how far the log went."""
    path = folder / "events.jsonl"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:2]))
    for name in ("eval_measurements.csv", "measurements.csv", "result.json"):
        (folder / name).unlink()


def forge_log(folder):
    """An evaluation made better, and the chain made anew."""
    path, running, lines = folder / "events.jsonl", "0" * 64, []
    for line in path.read_text().splitlines():
        event = json.loads(line)
        del event["hash"]
        if event["kind"] == "evaluation":
            event["validation/accuracy"] = 0.999
        text = json.dumps(event, sort_keys=True)
        running = hashlib.sha256((running + text).encode()).hexdigest()
        lines.append(json.dumps({**event, "hash": running}, sort_keys=True) + "\n")
    path.write_text("".join(lines))


def flip_a_byte(folder):
    path = folder / "checkpoint_30" / "shared.pt"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


HARM = {
    "event": (
        lambda f: other_digit(f / "events.jsonl", r'"test/accuracy": [\d.]+'),
        "events.jsonl:2: does not follow",
    ),
    "cut": (cut_last_line, "events.jsonl:5: lines are missing"),
    "cut and no result": (cut_to_two_lines_without_a_result, "events.jsonl:3: lines are missing"),
    "forged": (forge_log, "lines are missing"),
    "no event": (lambda f: change(f / "events.jsonl", r"^\{", "["), "events.jsonl:1: is no event"),
    "evaluation": (
        lambda f: other_digit(f / "eval_measurements.csv", r"\n[\d.]+"),
        "eval_measurements.csv:2: accumulated_eval_time is",
    ),
    "other file": (
        lambda f: change(f / "measurements.csv", r",250(?=,)", ",251"),
        "measurements.csv:",
    ),
    "row": (
        lambda f: change(f / "eval_measurements.csv", r"\n[^\n]+\n$", "\n"),
        "eval_measurements.csv: 2 evaluations, the event log has 3",
    ),
    "last row": (
        lambda f: change(f / "measurements.csv", r"30(,[^\n]*)\n$", r"31\1\n"),
        "measurements.csv:",
    ),
    "target": (
        lambda f: change(f / "result.json", r'"validation": null', '"validation": 0.01'),
        "result.json: time_to_target.validation is 0.01",
    ),
    "status": (
        lambda f: change(f / "result.json", "step_limit", "reached"),
        "result.json: status is reached, the other files say step_limit",
    ),
    "elapsed": (lambda f: other_digit(f / "result.json", r'"elapsed": [\d.]+'), "elapsed is"),
    "bucket": (lambda f: other_digit(f / "ledger.json", r'"step": [\d.]+'), "ledger is"),
    "config": (
        lambda f: change(f / "config.json", '"max_steps": 30', '"max_steps": 31'),
        "config.json: its hash is not the one in the event log",
    ),
    "flags": (lambda f: change(f / "flags_0.json", '_steps": 30', '_steps": 31'), "flags_0.json"),
    "hparams": (lambda f: other_digit(f / "hparams.json", r"0\.\d+"), "hparams.json: not"),
    "environment": (
        lambda f: other_digit(f / "environment.json", r'"seed": \d+'),
        "environment.json: seed",
    ),
    "checkpoint": (flip_a_byte, "checkpoint_30/shared.pt: does not have its checksum"),
    "no log": (lambda f: (f / "events.jsonl").unlink(), "events.jsonl: missing"),
    "hostile": (lambda f: (f / "result.json").write_text("[" * 100_000), "result.json: no JSON"),
    "a list": (lambda f: (f / "result.json").write_text("[1]"), "cannot be understood"),
}


@pytest.mark.parametrize("name", HARM)
def test_what_was_changed_is_named(trial, name):
    harm, message = HARM[name]
    harm(trial)
    verdict = verify(trial)
    assert not verdict.sound and message in verdict.text


def test_stopped_resumed_and_killed_trials_are_sound(data, tmp_path):
    noisy = (f"submission._target_={OPTIMIZER}Noisy", *STEPS)
    done = run_command(data, tmp_path, *noisy, env={"TEST_KILL_AT": "25"})
    assert done.returncode == 23, done.stderr
    (folder,) = tmp_path.glob("*/study_0/*/trial_1")
    killed = verify(folder)
    assert killed.sound and killed.text.startswith("rank_lost, ") and "may hide" in killed.text
    assert run_inside(data, tmp_path, *noisy)[0] == 11
    resumed = verify(folder)
    assert resumed.sound, resumed.text
    assert "hide" not in resumed.text


def test_a_failed_trial_is_sound_and_its_log_has_an_end(data, tmp_path):
    wrong = f"submission._target_={OPTIMIZER}NanAt"
    _, folder = run_inside(data, tmp_path, wrong, "+submission.options.at=3", *STEPS)
    verdict = verify(folder)
    assert verdict.sound and verdict.text.startswith("diverged"), verdict.text


def test_the_command(sound, trial, tmp_path, capsys):
    assert main([str(sound)]) == 0
    other_digit(trial / "eval_measurements.csv", r"\n[\d.]+")
    shutil.copytree(sound, tmp_path / "another")
    assert main([str(tmp_path)]) == 1
    told = capsys.readouterr().out
    assert f"BROKEN {trial}: eval_measurements.csv:2" in told and "1 sound, 1 broken" in told


@pytest.mark.parametrize("words", [["nowhere"], ["."]])
def test_no_trial_is_one_message(words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(words) == 2
    error = capsys.readouterr().err
    assert "holds no trial" in error and "Traceback" not in error
