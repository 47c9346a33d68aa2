"""Logs that something has changed: does a score ever change without a word?"""

import contextlib
import csv
import io
import shutil

import numpy as np

from scoring.cli import main
from tests.faults.place import PATIENT
from tests.faults.table import Fault, Seen
from tests.support.leaderboards import MADE_UP
from tests.support.runs import run_inside

_HARMS = ("bit", "bit", "digit", "digit", "cut", "empty", "gone", "twice", "lost", "grown")
_TARGET = "targets.workloads.digits.validation_target=0.2"
_TABLES = ("leaderboard.csv", "time_to_targets.csv")


def own_logs(place):
    """Two submissions, two studies, one trial each, of this project's own."""

    def make():
        root = place.root / "own_logs"
        for name, rate in (("quick", 0.01), ("slow", 0.003)):
            for study in (0, 1):
                words = [f"submission.name={name}", f"study={study}", _TARGET]
                words += [f"submission.hparams.learning_rate={rate}", "eval_every_steps=5", PATIENT]
                code, _ = run_inside(place.data, root, *words, "max_steps=120")
                assert code in (0, 11)
        return root

    return place.cached("own logs", make)


def _mutated(logs_of, rules, kinds):
    def harm(place, rng):
        source = logs_of(place)
        sound = place.cached(("score", rules), lambda: _score(source, place.root / "sound", rules))
        logs = place.scratch / "logs"
        shutil.copytree(source, logs)
        files = sorted(path for path in logs.rglob("*") if path.name in kinds)
        victim = files[int(rng.integers(len(files)))]
        how = str(rng.choice(_HARMS))
        _harm(victim, how, rng)
        code, tables, findings, said = _score(logs, place.scratch / "out", rules)
        trial = str(victim.parent.relative_to(logs))
        named = [finding for finding in findings if finding not in sound[2] and trial in finding]
        told = "; ".join(named) or said
        shutil.rmtree(place.scratch)
        what = f"{victim.name}, {how}: "
        if code not in (0, 1):
            lost = "" if trial in said else f"{what}refused, but the trial is not named: {said}"
            return Seen(f"refused ({code}), named", what + told, lost)
        if any("unreadable" in finding or "missing" in finding for finding in named):
            return Seen(f"listed ({code})", what + told)
        if tables == sound[1]:
            return Seen("the same score")
        if named:
            return Seen("another score, and the file is listed as odd", what + told)
        return Seen("another score without a word", what + said, "")

    return harm


def _score(logs, out, rules):
    """(exit code, tables, findings as lines, stderr)."""
    shown, said = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(shown), contextlib.redirect_stderr(said):
        code = main([str(logs), "--rules", rules, "--out", str(out)])
    tables = [(out / name).read_text() if code in (0, 1) else "" for name in _TABLES]
    found = []
    if code in (0, 1):
        with (out / "findings.csv").open() as file:
            lines = [" ".join(row.values()) for row in csv.DictReader(file)]
        found = [line.replace(f"{logs}/", "") for line in lines]
    return code, tables, found, said.getvalue()


def _harm(path, how, rng):
    content = bytearray(path.read_bytes())
    lines = content.splitlines(keepends=True)
    line = int(rng.integers(len(lines)))
    if how == "gone":
        path.unlink()
        return
    if how == "bit":
        content[int(rng.integers(len(content)))] ^= 1 << int(rng.integers(8))
    elif how == "digit":
        places = [n for n, byte in enumerate(content) if chr(byte).isdigit()]
        content[places[int(rng.integers(len(places)))]] = ord(str(rng.integers(10)))
    elif how == "cut":
        del content[int(rng.integers(len(content))) :]
    elif how == "empty":
        content.clear()
    elif how == "grown":
        content += np.random.default_rng(line).bytes(50)
    else:
        rest = lines[line:] if how == "twice" else lines[line + 2 :]
        content = b"".join([*lines[: line + 1], *rest])
    path.write_bytes(content)


_OWN = ("eval_measurements.csv", "events.jsonl", "result.json", "meta_data_0.json", "hparams.json")
_SEEN = ("listed", "refused", "the same score", "another score, and the file is listed")
FAULTS = [
    Fault(
        "a file of this project's logs changed, then scored",
        "a score that changes is never without a finding that names the trial",
        _mutated(own_logs, "development", _OWN),
        times=200,
        few=8,
        outcomes=_SEEN,
    ),
    Fault(
        "the same in AlgoPerf's logs, which have no event log",
        "a file that is no csv is listed; other numbers in a sound file are scored as they are",
        _mutated(lambda place: MADE_UP / "logs", "0.6", ("eval_measurements.csv",)),
        times=200,
        few=4,
        outcomes=(*_SEEN, "another score without a word"),
    ),
]
