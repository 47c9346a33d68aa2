"""Many trials in tests: a plan without a command, a backend without processes, the command."""

import json
import subprocess
import sys

from hydra import initialize_config_module
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode

from algoperf_pt import schema
from algoperf_pt.config import register_resolvers
from algoperf_pt.sweep.start import whole_plan
from tests.support.runs import OPTIMIZER, QUIET, ROOT, environment

SOON = ("max_steps=20", "eval_every_steps=10")


def plan_of(*words, needs_data=False):
    """The trials that a command line asks for."""
    schema.register()
    register_resolvers()
    GlobalHydra.instance().clear()
    with initialize_config_module("conf", version_base="1.3"):
        hydra = GlobalHydra.instance().hydra
        mode = {"run_mode": RunMode.MULTIRUN, "with_log_configuration": False}
        config = hydra.compose_config("train", [], **mode)
        return whole_plan(hydra.config_loader, config, words, None, needs_data)


def many(data, experiments, *words, env=None, background=False):
    """`train.py -m ...` as a user starts it: the completed process, or one that runs."""
    line = [sys.executable, str(ROOT / "train.py"), "-m", f"data.dir={data}"]
    line += [f"experiment_dir={experiments}", *QUIET, "display=plain", *words]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    process = subprocess.Popen(
        line, env=environment(**(env or {})), start_new_session=True, cwd=data, **pipes
    )
    if background:
        return process
    output, _ = process.communicate(timeout=240)
    return subprocess.CompletedProcess(line, process.returncode, output)


def submission(name):
    """The word for a submission of tests/support/submissions.py."""
    return f"submission._target_={OPTIMIZER}{name}"


def finish(folder, status, **more):
    """What a trial that has ended leaves in its folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "result.json").write_text(json.dumps({"status": status, "ended": 1.0, **more}))


class Silent:
    """A display that remembers."""

    def __init__(self):
        self.told = []

    def begin(self, place, outcomes):
        self.told.append(("begin", len(outcomes)))

    def started(self, planned, running):
        self.told.append(("started", planned.trial))

    def finished(self, planned, outcome):
        self.told.append(("finished", planned.trial))

    def refresh(self, outcomes, places):
        pass

    def note(self, text):
        self.told.append(("note", text))

    def stopping(self, running, kill):
        self.told.append(("stopping", kill))

    def end(self, outcomes):
        self.told.append(("end", len(outcomes)))


class Script:
    """A backend on which trials do what they are told: `ends` maps trial -> (status, exit code);
    one that is not in it runs until it is stopped."""

    def __init__(self, ends, room=2):
        self.ends, self.room, self.started, self.most = ends, room, [], 0
        self.on_start = lambda planned: None

    def prepare(self, trials):
        pass

    def describe(self):
        return "nowhere"

    def has_room(self):
        return self.room > 0

    def at_once(self):
        return self.room

    def start(self, planned):
        self.room -= 1
        self.started.append(planned.trial)
        self.most = max(self.most, 2 - self.room)
        planned.folder.mkdir(parents=True, exist_ok=True)
        self.on_start(planned)
        return Actor(planned, self.ends.get(planned.trial))

    def release(self, running):
        self.room += 1


class Actor:
    """A trial that ends at the second look at it."""

    where = "nowhere"

    def __init__(self, planned, end):
        self.planned, self.end, self.looks = planned, end, 0
        self.log = planned.folder / "console.log"
        self.log.write_text("first line\nlast line\n")
        self.begin = 0

    def poll(self):
        self.looks += 1
        if self.end is None or self.looks < 2:
            return None
        status, code = self.end
        if status is not None:
            finish(self.planned.folder, status)
        return code

    def stop(self):
        self.end = ("terminated", 143)

    def kill(self):
        self.end = (None, -9)
