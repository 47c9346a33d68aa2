"""python -m algoperf_pt.check.probe FILE: a few steps of a submission on one workload, watched, in
an interpreter of its own.

FILE is JSON: the composed configuration, out (file for findings), folder (of the trial).
"""

import json
import sys
import traceback
from pathlib import Path
from typing import Any

from algoperf_pt.assemble import assemble
from algoperf_pt.check.findings import FAIL
from algoperf_pt.check.frames import OWN, kind_of
from algoperf_pt.check.notes import Notes
from algoperf_pt.check.sources import shown
from algoperf_pt.errors import AlgoperfError, IntegrityError
from algoperf_pt.heartbeat import Heartbeat
from algoperf_pt.instantiate import find_own_modules
from algoperf_pt.loop import train

# What an error of the harness is about, by a word in it.
_ABOUT = {
    "hooks on all modules": "environment",
    "parameter": "parameters",
    "module": "parameters",
    "clock stood": "pause",
    "clock does not add up": "clock",
    "hyperparameter": "hyperparameters",
    "batch size": "contract",
    "select": "contract",
    "must define": "contract",
    "evaluation on 'test'": "data",
}


def probe(path: Path) -> None:
    """Run the trial of a file and write what was seen: no exit code says it."""
    task = json.loads(path.read_text())
    find_own_modules()
    notes = Notes(Path(task["out"]), task["config"]["workload"]["name"])
    try:
        _run(task)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # what a submission raises is a finding
        _tell(error, notes)


def _run(task: dict[str, Any]) -> None:
    config = task["config"]
    name = config["workload"]["name"]
    watched = {"inner": config["clock"], "out": task["out"], "name": name}
    config["clock"] = {"_target_": "algoperf_pt.check.watch.WatchedClock", **watched}
    folder = Path(task["folder"])
    folder.mkdir(parents=True, exist_ok=True)
    trial, clock = assemble(config, folder, Heartbeat())
    train(trial, clock)


def _tell(error: BaseException, notes: Notes) -> None:
    problem = error.problem if isinstance(error, AlgoperfError) else str(error)
    ours = isinstance(error, (AlgoperfError, NotImplementedError))
    about = [check for word, check in _ABOUT.items() if word in problem] if ours else []
    check = about[0] if about else "functions" if isinstance(error, IntegrityError) else "runs"
    expected = f"; expected: {error.expected}" if isinstance(error, AlgoperfError) else ""
    text = f"{type(error).__name__}: {problem.splitlines()[0] if problem else ''}{expected}"
    fix = error.fix if isinstance(error, AlgoperfError) else ""
    notes.say(check, FAIL, text, fix=fix, line=_line(error))
    traceback.print_exception(error)


def _line(error: BaseException) -> str:
    """The submission's innermost line in the traceback."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if kind_of(f.filename) == OWN]
    return f"{shown(Path(own[-1].filename))}:{own[-1].lineno}" if own else ""


if __name__ == "__main__":
    probe(Path(sys.argv[1]))
