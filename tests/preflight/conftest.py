"""`flown(*words)`: a preflight whose probes are forks of this process, which has torch already."""

import contextlib
import json
import os
import sys

import pytest
import torch

from algoperf_pt.measuring import Memory
from algoperf_pt.preflight import __main__ as command
from algoperf_pt.preflight.attempts import Attempts, End
from algoperf_pt.preflight.probe import Probe


class Forks(Attempts):
    """Processes as the command has them, but for the interpreter.  With `room` they may take so
    many bytes more than this process has, when it has given back what it does not use."""

    room = None

    def wait(self, line, own):
        held = 2**20 * Memory(torch.device("cpu")).start
        child = os.fork()
        if child == 0:
            with open(self._scratch / "console", "w") as file:
                os.dup2(file.fileno(), 1), os.dup2(file.fileno(), 2)
            try:
                with open(line[-1]) as file:
                    task = json.load(file)
                if self.room is not None:
                    task["memory"] = held + self.room
                Probe(task).run()
            finally:
                os._exit(0)
        status = os.waitpid(child, 0)[1]
        return End(os.WIFSIGNALED(status), f"ended by {status}")


@pytest.fixture
def flown(monkeypatch, tmp_path, capsys):
    """(exit code, lines of the output, content of the JSON) of a preflight."""
    monkeypatch.setattr(command, "Attempts", Forks)

    def fly(root, *words, workload="digits", seconds=0.05, room=None):
        monkeypatch.setattr(Forks, "room", room)
        path = tmp_path / "figures.json"
        places = (f"data.dir={root}", f"experiment_dir={tmp_path / 'experiments'}")
        machine = ("trainer=cpu", "trainer.threads=1")
        flags = ("--seconds", str(seconds), "--json", str(path))
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
        chosen = () if any(w.startswith("submission=") for w in words) else ("submission=nadamw",)
        code = command.main([f"workload={workload}", *places, *machine, *flags, *chosen, *words])
        assert not (tmp_path / "experiments").exists()
        found = json.loads(path.read_text()) if path.exists() else {}
        return code, capsys.readouterr(), found

    yield fly
    sys.stdout.flush()
