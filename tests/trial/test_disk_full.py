"""A full disk ends a trial with its name, loses nothing, and the trial goes on when there is
room."""

import errno
import json
import os

import pytest

from algoperf_pt.records import Records, verify_events
from algoperf_pt.result import keep_room
from tests.support.disks import on_a_small_disk
from tests.support.runs import command, result, rows, run_inside

ARGUMENTS = ("max_steps=60", "eval_every_steps=10", "logger.first=3", "logger.every=10")
FOLDER = "nadamw/study_0/digits/trial_1"


def no_room(*_, **__):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_row_that_does_not_fit_is_not_there_at_all(tmp_path, monkeypatch):
    """Half of the row is written, then the disk is full."""
    records = Records(tmp_path)
    records.event("start", {})
    before = (tmp_path / "events.jsonl").read_bytes()
    from pathlib import Path

    whole = Path.open

    class Full:
        def __init__(self, file):
            self.file, self.tell, self.left = file, file.tell, 7

        def __enter__(self):
            return self

        def __exit__(self, *_):
            self.file.close()

        def write(self, content):
            if self.left == 0:
                no_room()
            self.left = 0
            return self.file.write(content[:7])

    monkeypatch.setattr(Path, "open", lambda *a, **k: Full(whole(*a, **k)))
    with pytest.raises(OSError):
        records.event("lost", {})
    monkeypatch.undo()
    assert (tmp_path / "events.jsonl").read_bytes() == before
    records.event("after", {})
    assert verify_events(tmp_path / "events.jsonl") == 2


@pytest.mark.parametrize("place", ["rows", "checkpoint"])
def test_named_and_resumed(data, tmp_path, monkeypatch, place):
    """The disk fills up at the third evaluation; the trial that goes on equals one that had
    room."""
    _, whole = run_inside(data, tmp_path / "whole", *ARGUMENTS)
    calls = []
    target = "algoperf_pt.records.Records.evaluation_row"
    if place == "checkpoint":
        target = "algoperf_pt.checkpoint.torch.save"
    module, _, name = target.rpartition(".")
    original = getattr(_resolve(module), name)

    def third(*args, **kwargs):
        calls.append(1)
        return no_room() if len(calls) == 5 else original(*args, **kwargs)

    monkeypatch.setattr(target, third)
    code, folder = run_inside(data, tmp_path / "full", *ARGUMENTS)
    monkeypatch.undo()
    assert code == 27 and result(folder)["status"] == "disk_full"
    assert f"no space is left for {folder}" in result(folder)["message"]
    assert json.loads((folder / "events.jsonl").read_text().splitlines()[-1])["kind"] == "failed"
    code, _ = run_inside(data, tmp_path / "full", *ARGUMENTS)
    assert code == 11
    untimed = [{k: v for k, v in r.items() if "/" in k or k == "global_step"} for r in rows(folder)]
    expected = [{k: v for k, v in r.items() if "/" in k or k == "global_step"} for r in rows(whole)]
    assert untimed == expected
    assert not list(folder.glob(".checkpoint_*")) and not (folder / ".reserve").exists()


def _resolve(path):
    import importlib

    try:
        return importlib.import_module(path)
    except ModuleNotFoundError:
        module, _, name = path.rpartition(".")
        return getattr(_resolve(module), name)


def test_room_is_kept_for_the_last_words(tmp_path):
    keep_room(tmp_path)
    assert os.stat(tmp_path / ".reserve").st_blocks * 512 >= 1 << 16


@pytest.mark.slow
def test_on_a_disk_that_is_really_full(data, tmp_path):
    """A small file system in memory, in a mount namespace of its own."""
    line = command(data, "DISK", *ARGUMENTS)
    codes, disks = on_a_small_disk(tmp_path, "420k", line)
    assert codes == (27, 11)
    full, resumed = (disk / FOLDER for disk in disks)
    assert result(full)["status"] == "disk_full"
    assert verify_events(full / "events.jsonl") >= 2
    assert [int(row["global_step"]) for row in rows(resumed)] == [10, 20, 30, 40, 50, 60]
    assert verify_events(resumed / "events.jsonl") >= 8
