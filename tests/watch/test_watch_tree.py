"""All trials below a folder: which there are, in which order, and what a look costs."""

import os
import shutil
import subprocess
import sys

import pytest

from algoperf_pt.watch import files, find
from algoperf_pt.watch.find import Walk
from algoperf_pt.watch.tree import GROUPINGS, Tree, counts, groups, natural
from algoperf_pt.watch.view import Live
from tests.support import watched
from tests.support.disks import READ_ONLY, run_in_namespace
from tests.support.runs import ROOT, environment

HOOK = """
import os, sys
def hook(event, arguments):
    if event == "open" and isinstance(arguments[2], int):
        writes = arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_TRUNC)
        assert not writes, arguments
    forbidden = ("fcntl.flock", "fcntl.lockf", "os.mkdir", "os.remove", "os.rename", "os.link")
    assert event not in forbidden, (event, arguments)
sys.dont_write_bytecode = True
sys.addaudithook(hook)
from algoperf_pt.watch.__main__ import main
sys.exit(main(sys.argv[1:]))
"""


def names(root):
    views = Tree(root).look().views
    return [(view.workload, view.submission, view.study, view.trial) for view in views]


@pytest.fixture
def root(tmp_path):
    for trial in (10, 2, 1):
        watched.running(tmp_path, trial=trial)
    watched.running(tmp_path, study=1)
    watched.running(tmp_path, submission="adamw", workload="cifar")
    return tmp_path


def test_trials_come_in_a_natural_order(root):
    assert names(root) == [
        ("cifar", "adamw", 0, 1),
        *(("digits", "nadamw", 0, trial) for trial in (1, 2, 10)),
        ("digits", "nadamw", 1, 1),
    ]
    assert sorted(["b_10", "b_2", "a", "10", "9"], key=natural) == ["9", "10", "a", "b_2", "b_10"]


def test_a_part_of_the_tree_may_be_watched(root):
    of_nadamw = names(root)[1:]
    assert names(root / "nadamw") == of_nadamw
    assert names(root / "nadamw" / "study_1") == of_nadamw[-1:]
    assert names(root / "nadamw" / "study_1" / "digits" / "trial_1") == of_nadamw[-1:]
    assert ("digits", f"{root.name}/nadamw", 1, 1) in names(root.parent)


def test_groups(root):
    views = Tree(root).look().views
    shapes = {by: [(g.title, len(g.views)) for g in groups(views, by)] for by in GROUPINGS}
    assert shapes == {
        "workload": [("cifar", 1), ("digits", 4)],
        "submission": [("adamw", 1), ("nadamw", 4)],
        "study": [("study 0", 4), ("study 1", 1)],
    }
    assert counts(views) == "5 running" and counts([]) == "no trials"


def test_trials_come_and_go(root):
    tree = Tree(root)
    assert len(tree.look().views) == 5
    shutil.rmtree(root / "nadamw" / "study_0")
    watched.planned(watched.place(root, trial=7))
    assert [view.trial for view in tree.look().views] == [1, 7, 1]
    shutil.rmtree(root)
    assert tree.look().views == ()
    watched.running(root)
    assert len(tree.look().views) == 1


def test_a_folder_that_vanishes_during_the_look(root, monkeypatch):
    tree, listing = Tree(root), find.listing

    def gone(folder):
        shutil.rmtree(folder, ignore_errors=True)
        return listing(folder)

    monkeypatch.setattr("algoperf_pt.watch.reader.listing", gone)
    assert {view.state for view in tree.look().views} == {Live.UNREADABLE}
    assert tree.look().views == ()


def test_no_link_is_followed(root, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside")
    watched.running(outside, submission="secret")
    (root / "secret").symlink_to(outside / "secret")
    (root / "nadamw" / "study_0" / "digits" / "trial_3").symlink_to(root / "nadamw")
    (root / "loop").symlink_to(root)
    assert len(names(root)) == 5
    assert Tree(root).look().notes == ("links are not followed: 3",)


def test_files_that_are_links_say_nothing(root, tmp_path_factory):
    secret = tmp_path_factory.mktemp("outside") / "secret"
    secret.write_text("secret\n")
    folder = watched.place(root, trial=1)
    for name in ("console.log", "result.json", "config.json", "eval_measurements.csv"):
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(secret)
    tree = Tree(root / "nadamw" / "study_0" / "digits" / "trial_1")
    (view,) = tree.look().views
    assert tree.log(view.key) == ["(console.log: a link)"]
    assert "config.json: a link" in view.notes and "evaluations: a link" in view.notes
    assert "secret" not in str(view)


def test_the_number_of_trials_is_bounded(root):
    walk = Walk(root, most=3)
    assert len(list(walk.places())) == 3
    assert walk.notes == ["more than 3 trials: the rest is not shown"]


def test_a_second_look_reads_only_clocks(root, monkeypatch):
    watched.ended(watched.place(root, trial=10))
    tree, opened, real = Tree(root), [], os.open

    def spy(path, *rest, **more):
        opened.append(os.path.basename(path))
        return real(path, *rest, **more)

    monkeypatch.setattr(files.os, "open", spy)
    tree.look()
    first, opened[:] = len(opened), []
    tree.look()
    assert first == 5 * 3 + 1 and opened == ["clock.bin"] * 4
    watched.evaluated(watched.place(root, trial=2), [(5.0, 0.9)])
    opened.clear()
    assert max(view.evaluations for view in tree.look().views) == 3
    assert sorted(set(opened)) == ["clock.bin", "eval_measurements.csv"]


def test_a_finished_trial_that_is_begun_anew(root):
    folder = watched.place(root, trial=10)
    watched.ended(folder, "user_stop")
    tree = Tree(root)
    assert counts(tree.look().views) == "4 running, 1 user stop"
    (folder / "result.json").rename(folder / "result_0.json")
    assert counts(tree.look().views) == "5 running"
    watched.ended(folder, "budget")
    assert counts(tree.look().views) == "4 running, 1 budget"
    (folder / "result.json").unlink()
    assert counts(tree.look().views) == "5 running"


def test_nothing_is_opened_for_writing_and_nothing_changes(root):
    def state():
        return [(p, os.lstat(p).st_mtime_ns, os.lstat(p).st_size) for p in sorted(root.rglob("*"))]

    before = state()
    line = [sys.executable, "-c", HOOK, str(root), "--once"]
    done = subprocess.run(line, env=environment(), capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert "5 running" in done.stdout
    assert state() == before


def test_a_read_only_disk(root):
    line = [sys.executable, "-m", "algoperf_pt.watch", str(root), "--once"]
    done = run_in_namespace(READ_ONLY, [str(root), *line])
    assert done.returncode == 0, done.stderr
    assert "5 running" in done.stdout
