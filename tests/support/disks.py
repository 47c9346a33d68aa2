"""File systems that are too small or may not be written, in a mount namespace of their own."""

import shutil
import subprocess
import sys

import pytest

from tests.support.runs import ROOT, environment

_TMPFS = """
import subprocess, sys
small, large, target, log, *line = sys.argv[1:]
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=" + small, "tmpfs", target], check=True)
first = subprocess.run(line, capture_output=True, text=True)
print(first.stderr[-2000:], file=sys.stderr)
subprocess.run(["cp", "-r", target, log + "/full"], check=True)
subprocess.run(["mount", "-o", "remount,size=" + large, target], check=True)
second = subprocess.run(line, capture_output=True, text=True)
subprocess.run(["cp", "-r", target, log + "/resumed"], check=True)
print(first.returncode, second.returncode)
"""
READ_ONLY = """
import subprocess, sys
target, *line = sys.argv[1:]
subprocess.run(["mount", "--bind", target, target], check=True)
subprocess.run(["mount", "-o", "remount,bind,ro", target], check=True)
sys.exit(subprocess.run(line).returncode)
"""


def run_in_namespace(script, words):
    """The completed process of a Python script that may mount file systems; skips the test where
    nobody may."""
    if not _can_mount():
        pytest.skip("file systems cannot be mounted here")
    line = ["unshare", "-rm", sys.executable, "-c", script, *words]
    return subprocess.run(line, env=environment(), capture_output=True, text=True, cwd=ROOT)


def on_a_small_disk(folder, size, line, larger="20m"):
    """Run a command on a file system of `size`, and again when it is larger.

    Args:
        folder: an empty folder.
        line: the command; the word DISK in it stands for the file system.

    Returns:
        (exit codes, copies of the file system after each).
    """
    disk, log = folder / "disk", folder / "log"
    disk.mkdir(), log.mkdir()
    words = [word.replace("DISK", str(disk)) for word in line]
    done = run_in_namespace(_TMPFS, [size, larger, str(disk), str(log), *words])
    codes = tuple(int(word) for word in done.stdout.split())
    assert len(codes) == 2, done.stdout + done.stderr
    return codes, (log / "full", log / "resumed")


def _can_mount():
    probe = ["unshare", "-rm", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    found = shutil.which("unshare") is not None
    return found and subprocess.run(probe, capture_output=True).returncode == 0
