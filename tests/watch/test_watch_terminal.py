"""The command on a terminal: one look, a screen that listens to keys, lines in a pipe."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time

import pytest

from algoperf_pt.watch.__main__ import main
from tests.support import watched
from tests.support.runs import ROOT, environment

HOSTILE = "\x1b]0;owned\x07\x1b[2J\u202e[red]x[/red]"
LINE = [sys.executable, "-m", "algoperf_pt.watch"]


@pytest.fixture
def root(tmp_path):
    watched.running(tmp_path)
    watched.ended(watched.running(tmp_path, trial=2), "hung", message="rank 0: no step")
    watched.running(tmp_path, submission="adamw", study=1)
    return tmp_path


def test_one_look(root, capsys):
    assert main([str(root), "--once"]) == 0
    shown = capsys.readouterr().out
    words = [re.sub(r"[│ ]+", " ", line).strip() for line in shown.splitlines()]
    assert "digits 2 running, 1 hung" in words
    assert "nadamw 0/1 running 0.75 0.985 3.0 s (10 %) 2 – – 1" in words
    assert "digits / nadamw, study 0, trial 2: rank 0: no step" in words
    assert f"{root}: 2 running, 1 hung; looked" in shown


def test_a_narrow_terminal(root, terminal):
    screen = terminal(str(root), columns=80, rows=20)
    shown = [" ".join(line.split()) for line in screen.until("looked").splitlines()]
    assert "submission trial status best target used reaches" in shown
    assert "nadamw 0/2 hung 0.75 0.985 10 % –" in shown


@pytest.mark.parametrize("by, first", [("submission", "adamw"), ("study", "study 0")])
def test_other_groups(root, capsys, by, first):
    main([str(root), "--once", "--group", by])
    assert f"│{first} " in capsys.readouterr().out


def test_an_empty_folder(tmp_path, capsys):
    assert main([str(tmp_path), "--once"]) == 0
    assert "no trials" in capsys.readouterr().out


@pytest.mark.parametrize(
    "words, message",
    [
        (["nowhere"], "nowhere is no folder"),
        ([".", "--refresh", "0"], "--refresh 0"),
        ([".", "--refresh", "nan"], "--refresh nan"),
        ([".", "--stalled", "-1"], "--stalled -1"),
        ([".", "--serve", "--port", "70000"], "--port 70000"),
        ([".", "--serve", "--host", "256.0.0.1"], "cannot listen on 256.0.0.1, port 0"),
    ],
)
def test_a_wrong_command_is_one_message(words, message, capsys):
    assert main(words) == 2
    error = capsys.readouterr().err
    assert message in error and "Traceback" not in error


def test_hostile_names_and_messages_print_as_text(tmp_path, capsys):
    content = watched.config()
    content["targets"]["workloads"]["digits"]["metric"] = HOSTILE
    folder = watched.place(tmp_path, submission=HOSTILE.replace("/", ""))
    watched.started(folder, content)
    watched.ended(folder, "error", message=HOSTILE)
    main([str(tmp_path), "--once"])
    shown = capsys.readouterr().out
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", shown)
    assert "[red]x[/red]" in shown


class Terminal:
    """The command on a terminal of its own."""

    def __init__(self, *words, rows=14, columns=150):
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.before = termios.tcgetattr(slave)
        env = environment(TERM="xterm", COLUMNS=str(columns), LINES=str(rows))
        ends = {"stdin": slave, "stdout": slave, "stderr": slave}
        self.process = subprocess.Popen([*LINE, *words], env=env, cwd=ROOT, **ends)
        self.slave, self.shown = slave, ""

    def until(self, text):
        """Read until `text` has been drawn since the last call; what was drawn."""
        end, content, drawn = time.monotonic() + 60, b"", ""
        while text not in drawn:
            assert time.monotonic() < end, drawn
            if select.select([self.master], [], [], 0.2)[0]:
                content += os.read(self.master, 65536)
                drawn = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", content.decode(errors="ignore"))
        return drawn

    def press(self, keys):
        os.write(self.master, keys.encode())

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self.master)
        os.close(self.slave)


@pytest.fixture
def terminal():
    opened = []

    def start(*words, **size):
        opened.append(Terminal(*words, **size))
        return opened[-1]

    yield start
    for one in opened:
        one.close()


def test_a_screen_that_listens_to_keys(root, terminal):
    screen = terminal(str(root), "--refresh", "0.2")
    assert "2 running, 1 hung" in screen.until("looked")
    screen.press("g")
    screen.until("by submission, all")
    screen.press("f")
    screen.until("by submission, active")
    assert "│ hung" not in screen.until("looked")
    screen.press("f")
    screen.until("by submission, failed")
    assert "│ running" not in screen.until("looked")
    watched.ended(watched.running(root, trial=3), "diverged")
    screen.until("1 diverged")
    screen.press("q")
    assert screen.process.wait(30) == 0
    assert termios.tcgetattr(screen.slave) == screen.before


def test_a_long_table_is_scrolled(root, terminal):
    for trial in range(3, 30):
        watched.planned(watched.place(root, trial=trial))
    screen = terminal(str(root), "--refresh", "60")
    assert "│ 0/29 " not in screen.until("looked")
    screen.press(" " * 16 + "\x1b[6~")
    screen.until("│ 0/29 ")
    screen.press("\x1b[A")
    screen.until("│ 0/28 ")
    os.kill(screen.process.pid, signal.SIGINT)
    assert screen.process.wait(30) == 0


def test_lines_in_a_pipe(root):
    line = [*LINE, str(root), "--refresh", "0.1"]
    process = subprocess.Popen(line, env=environment(), cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        first = [process.stdout.readline() for _ in range(3)]
        assert "digits / adamw, study 1, trial 1: running, accuracy 0.75, 3.0 s (10 %)" in first[0]
        watched.evaluated(watched.place(root), [(5.0, 0.95)])
        assert "nadamw, study 0, trial 1: running, accuracy 0.95" in process.stdout.readline()
        process.stdout.close()  # | head
        watched.ended(watched.place(root))
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()
