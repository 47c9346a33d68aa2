"""python -m algoperf_pt.preflight.probe FILE: the trial of a preflight, in an interpreter of its
own, so that nothing is lost if the system ends it for its memory.

FILE is JSON: config, folder, out, ranks, seconds, memory (bytes or null), and for a search among
batch sizes low, high (rows of a rank).  A line of JSON in `out` for each phase that begins or ends.
"""

import json
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from algoperf_pt.errors import AlgoperfError
from algoperf_pt.instantiate import find_own_modules
from algoperf_pt.out_of_memory import is_out_of_memory
from algoperf_pt.preflight.bisect import largest_that_fits
from algoperf_pt.preflight.memory import Budget
from algoperf_pt.preflight.subject import Subject
from algoperf_pt.ranks import Ranks

SEARCH = "search"


class Notes:
    """Lines that survive the process."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def write(self, **line: Any) -> None:
        """Append one."""
        with self._path.open("a") as file:
            file.write(json.dumps(line) + "\n")


class Probe:
    """Runs the phases of a task, up to the first that fails."""

    def __init__(self, task: dict[str, Any]) -> None:
        self._task, self._notes = task, Notes(Path(task["out"]))
        self._seconds: float = task["seconds"]

    def run(self) -> None:
        """Everything; a failure is a line, too."""
        if not self._phase("set-up", self._set_up):
            return
        if "high" in self._task:
            self._search()
            return
        subject = self._subject
        phases: dict[str, Callable[[], dict[str, Any]]] = {
            "loader": lambda: subject.load(self._seconds),
            "steps": lambda: subject.steps(self._seconds),
            "longest batch": subject.longest,
            "evaluation batch": subject.evaluation_batch,
            "evaluation": lambda: subject.evaluation(3 * self._seconds),
            "step after it": subject.after_evaluation,
            "checkpoint": subject.checkpoint,
        }
        for name, measure in phases.items():
            if not self._phase(name, measure):
                return

    def _set_up(self) -> dict[str, Any]:
        task = self._task
        ranks = task["ranks"] or max(1, torch.cuda.device_count())
        folder = Path(task["folder"])
        folder.mkdir(parents=True, exist_ok=True)
        cuda = task["config"]["trainer"]["accelerator"] != "cpu" and torch.cuda.is_available()
        self._budget = Budget(torch.device("cuda" if cuda else "cpu"), task["memory"])
        self._subject = Subject(task["config"], folder, ranks)
        trial = self._subject.trial
        return {
            "seconds": self._subject.seconds_to_set_up,
            "submission_seconds": trial.setup_seconds,
            "ranks": ranks,
            "device": _device(trial.ranks),
            "memory_bytes": self._budget.bytes,
            "asked": self._subject.asked,
            "rows": self._subject.rows,
        }

    def _phase(self, name: str, measure: Callable[[], dict[str, Any]]) -> bool:
        """Whether it succeeded."""
        self._notes.write(begun=name)
        watch = self._budget.watch() if hasattr(self, "_budget") else None
        try:
            found = measure()
            watch = watch or self._budget.watch()
            self._notes.write(phase=name, **watch.figures(), **found)
            return True
        except Exception as error:  # whatever a submission raises is a finding
            self._notes.write(failed=name, oom=is_out_of_memory(error), **_told(error))
            if not is_out_of_memory(error) and not isinstance(error, AlgoperfError):
                traceback.print_exception(error)
            return False

    def _search(self) -> None:
        self._notes.write(begun=SEARCH)
        largest_that_fits(self._task["low"], self._task["high"], self._fits)

    def _fits(self, rows: int) -> bool:
        self._notes.write(trying=rows)
        watch = self._budget.watch()
        fits = True
        try:
            self._subject.try_rows(rows)
            watch.peak()
        except Exception as error:
            if not is_out_of_memory(error):
                self._notes.write(failed=SEARCH, oom=False, **_told(error))
                raise
            fits = False
        self._subject.forget_batches()
        self._notes.write(tried=rows, fits=fits)
        return fits


def _device(ranks: Ranks) -> str:
    if ranks.device.type == "cuda":
        return torch.cuda.get_device_name(ranks.device)
    return f"cpu, {torch.get_num_threads()} threads"


def _told(error: BaseException) -> dict[str, str]:
    if isinstance(error, AlgoperfError):
        expected = f", expected {error.expected}" if error.expected else ""
        where = f" ({error.where})" if error.where else ""
        return {"text": f"{error.problem}{expected}{where}", "fix": error.fix}
    line = str(error).splitlines()[0] if str(error) else ""
    return {"text": f"{type(error).__name__}: {line}", "fix": ""}


if __name__ == "__main__":
    find_own_modules()
    Probe(json.loads(Path(sys.argv[1]).read_text())).run()
