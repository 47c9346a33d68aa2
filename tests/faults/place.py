"""Where is the harm done, and to what?  An empty folder, prepared data, a trial that runs, and the
undisturbed trials with which the ends are compared.
"""

import subprocess
import tempfile
import time
from pathlib import Path

import psutil
import torch

from algoperf_pt.heartbeat import CLOCK_FILE, read_clock
from algoperf_pt.result import read_result
from tests.faults.table import Seen
from tests.support.runs import (
    OPTIMIZER,
    assert_equal_runs,
    command,
    environment,
    run_command,
    run_inside,
)
from timing.ledger import TIMED

STEPS = 90
PATIENT = "targets.workloads.digits.max_runtime=100000"  # s: a busy machine ends no trial
NOISY = (f"submission._target_={OPTIMIZER}Noisy", "logger.first=90", PATIENT)
ARGUMENTS = (*NOISY, f"max_steps={STEPS}", "eval_every_steps=10")
OVER = (0, 11)  # exit codes: target reached, or all steps done
FOLDER = "nadamw/study_0/digits/trial_1"
SAME = "the end equals that of an undisturbed trial, bit for bit"  # for the table
RESUMED = "resumed, it ends like an undisturbed trial, bit for bit"
_PATIENCE = 240.0  # s that a trial may take on a busy machine


class Place:
    """An empty folder, and what is shared by all of a campaign.

    Args:
        root: folder for everything.
        all_data: `prepared(name)` makes a dataset and returns the folder for data.dir.
    """

    def __init__(self, root, all_data):
        self.root, self.all_data = Path(root), all_data
        self.data = all_data.prepared("digits")
        self.cache = {}
        self.scratch = self.root

    def fresh(self):
        """The same place with a new empty folder."""
        new = Place.__new__(Place)
        new.__dict__ = {**self.__dict__, "scratch": Path(tempfile.mkdtemp(dir=self.root))}
        return new

    def cached(self, key, make):
        """What `make` returned at the first call."""
        if key not in self.cache:
            self.cache[key] = make()
        return self.cache[key]

    def whole(self, ranks=1, arguments=ARGUMENTS):
        """Folder of an undisturbed trial."""

        def make():
            folder = Path(tempfile.mkdtemp(dir=self.root))
            if ranks == 1:
                code, _ = run_inside(self.data, folder, *arguments)
            else:
                code = run_command(self.data, folder, *arguments, *devices(ranks)).returncode
            assert code in OVER, code
            return folder / FOLDER

        return self.cached(("whole", ranks, arguments), make)

    def interrupted(self, at=70):
        """Folder of experiments whose trial was killed at a step: checkpoints of 10 steps."""

        def make():
            folder = Path(tempfile.mkdtemp(dir=self.root))
            died = run_command(self.data, folder, *ARGUMENTS, env={"TEST_KILL_AT": str(at)})
            assert died.returncode == 23, died.stderr
            return folder

        return self.cached(("interrupted", at), make)

    def start(self, *arguments, ranks=1, env=None):
        """A trial that runs."""
        return Running(self, arguments, ranks, env or {})


def devices(ranks):
    """The word that asks for ranks."""
    return [f"trainer.devices={ranks}"] if ranks > 1 else []


class Running:
    """A trial started as a command, and its processes."""

    def __init__(self, place, arguments, ranks, env):
        self.ranks, self.folder = ranks, place.scratch / FOLDER
        line = command(place.data, place.scratch, *arguments, *devices(ranks))
        self._log = (place.scratch / "console.txt").open("w+")
        self.process = subprocess.Popen(
            line, env=environment(**env), stdout=self._log, stderr=self._log, start_new_session=True
        )

    def rows(self):
        """Training rows that are written."""
        try:
            return (self.folder / "measurements.csv").read_bytes().count(b"\n") - 1
        except FileNotFoundError:
            return -1

    def until(self, reached):
        """Wait until `reached()`; False if the trial has ended before."""
        end = time.monotonic() + _PATIENCE
        while not reached():
            if self.process.poll() is not None:
                return False
            assert time.monotonic() < end, "the trial makes no progress"
            time.sleep(0.001)
        return True

    def tree(self):
        """Name -> process: the first one, the launcher of ranks, supervisors and trials."""
        first = psutil.Process(self.process.pid)
        found = {"first process": first}
        supervisors = [first]
        if self.ranks > 1:
            launchers = first.children()
            found |= {"launcher": process for process in launchers}
            supervisors = [child for process in launchers for child in process.children()]
            found |= {f"supervisor of rank {n}": p for n, p in enumerate(supervisors)}
        for number, supervisor in enumerate(supervisors):
            for trial in supervisor.children()[:1]:
                found[f"trial of rank {number}"] = trial
        return found

    def wait(self):
        """Exit code, when all its processes have ended."""
        try:
            every = psutil.Process(self.process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            every = []
        code = self.process.wait(_PATIENCE)
        self.gone(every)
        return code

    def gone(self, processes):
        """Wait until these have ended; orphans count."""
        _, left = psutil.wait_procs(processes, timeout=60)
        assert not left, f"still there: {[' '.join(p.cmdline())[:80] for p in left]}"

    def said(self):
        """All that was printed."""
        self._log.flush()
        return Path(self._log.name).read_text()


def outcome(folder, code):
    """"status (exit code)"."""
    found = read_result(folder)
    return f"{found['status'] if found else 'no result'} ({code})"


def told(folder):
    """The message of result.json."""
    return str((read_result(folder) or {}).get("message", ""))


def end_of(place, folder, code, arguments=ARGUMENTS, ranks=1, message=None, checked_clock=True):
    """What came of a trial that was disturbed: resume it, and compare with an undisturbed one."""
    ending, said = outcome(folder, code), told(folder) if message is None else message
    read = read_clock(folder / CLOCK_FILE)
    killed_at = 0.0 if read is None else read[0]
    expected = max(0.0, killed_at - timed_in_checkpoint(folder))
    over = code in OVER or (read_result(folder) or {}).get("status") in ("reached", "step_limit")
    if ranks == 1:
        again, _ = run_inside(place.data, place.scratch, *arguments)
    else:
        again = run_command(place.data, place.scratch, *arguments, *devices(ranks)).returncode
    lost = "" if again in OVER else f"resumed, it ended with {outcome(folder, again)}"
    try:
        assert_equal_runs(place.whole(ranks, arguments), folder, STEPS, ranks)
    except (AssertionError, OSError) as error:
        lost = lost or f"the end differs: {error}"
    if not over and checked_clock:
        lost = lost or _uncharged(folder, killed_at, expected)
    return Seen(ending, said, lost)


def timed_in_checkpoint(folder):
    """Seconds on the submission's clock in the newest checkpoint."""
    newest = max(folder.glob("checkpoint_*"), key=lambda p: int(p.name[11:]), default=None)
    if newest is None:
        return 0.0
    books = torch.load(newest / "shared.pt", weights_only=True)["clock"]["ledger"]
    return sum(books[bucket] for bucket in TIMED)


def _uncharged(folder, killed_at, expected):
    """Work that is redone must be on the clock, too."""
    found = read_result(folder)
    if abs(found["ledger"]["lost"] - expected) > 1e-9:
        return f"{expected} s were lost, {found['ledger']['lost']} s were charged"
    if found["elapsed"] < killed_at:
        return f"the clock went back from {killed_at} to {found['elapsed']}"
    return ""
