"""Runs the trials of a plan: what is over is skipped, what was interrupted goes on, and a trial
that fails stops no other.  This process belongs to no process group and never trains.
"""

import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from algoperf_pt.driver import is_running, refuse_change
from algoperf_pt.errors import AlgoperfError
from algoperf_pt.result import read_result
from algoperf_pt.status import Status, stopped_by
from algoperf_pt.sweep.backends import Backend, Running
from algoperf_pt.sweep.child import CONSOLE
from algoperf_pt.sweep.lock import locked
from algoperf_pt.sweep.outcome import Outcome, ended, finished, refused
from algoperf_pt.sweep.plan import Planned
from algoperf_pt.sweep.table import Display

_POLL = 0.2  # s between looks at the trials
_PATIENCE = 60.0  # s for the trials of a parent that was killed to save and end
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass
class _Attempt:
    running: Running
    before: dict[str, Any] | None  # result.json at its begin
    begin: int  # bytes of the console at its begin


class Stop:
    """How often the user has asked to stop: once to save and end, twice to kill."""

    def __init__(self) -> None:
        self.count, self._number = 0, 0

    def __call__(self, number: int, _: object) -> None:
        self.count, self._number = self.count + 1, self._number or number

    @property
    def asked(self) -> Status | None:
        """What trials end with that this process stops; None: nobody has asked."""
        return stopped_by(self._number) if self.count else None


class Sweep:
    """The trials of a plan on a backend.

    Args:
        trials: the plan.
        backend: where they run.
        display: what the user sees.
    """

    def __init__(self, trials: Sequence[Planned], backend: Backend, display: Display) -> None:
        self._trials, self._backend, self._display = trials, backend, display
        self._waiting: list[Planned] = []
        self._attempts: dict[Planned, _Attempt] = {}
        self._outcomes: dict[Planned, Outcome] = {}
        self._stop = Stop()
        self._told = 0  # of the user's requests, those that the trials know

    def run(self) -> list[Outcome]:
        """Run what is not over; an outcome for each trial, in the plan's order.

        Raises:
            ConfigError: another parent runs trials of one of the submissions.
        """
        with locked(self._trials), _signals(self._stop):
            self._sort_out()
            self._backend.prepare(self._waiting)
            self._display.begin(self._backend.describe(), self._outcomes)
            try:
                self._loop()
            finally:
                self._kill()
                self._display.end(self._outcomes)
        rest = Outcome(self._stop.asked, "not started")
        return [self._outcomes.get(planned, rest) for planned in self._trials]

    def _sort_out(self) -> None:
        """Finished trials and those with another configuration are not started."""
        for planned in self._trials:
            try:
                if planned.started:
                    refuse_change(planned.config(), planned.folder)
            except AlgoperfError as error:
                self._outcomes[planned] = refused(error)
                continue
            if planned.finished:
                self._outcomes[planned] = finished(planned)
            else:
                self._waiting.append(planned)

    def _loop(self) -> None:
        give_up = time.monotonic() + _PATIENCE
        while self._attempts or (self._waiting and not self._stop.count):
            self._pass_stop_on()
            self._start_some(time.monotonic() > give_up)
            self._collect()
            self._display.refresh(self._outcomes, self._places())
            time.sleep(_POLL)

    def _start_some(self, impatient: bool) -> None:
        for planned in list(self._waiting):
            if self._stop.count or not self._backend.has_room():
                return
            if is_running(planned.folder):  # by a trial whose parent was killed, or another command
                if impatient and not self._attempts:
                    self._waiting.remove(planned)
                    self._finish(planned, refused(_elsewhere(planned)))
                continue
            self._waiting.remove(planned)
            self._start(planned)

    def _start(self, planned: Planned) -> None:
        before, console = read_result(planned.folder), planned.folder / CONSOLE
        begin = console.stat().st_size if console.exists() else 0
        try:
            running = self._backend.start(planned)
        except (AlgoperfError, OSError) as error:
            self._finish(planned, refused(error))
            return
        self._attempts[planned] = _Attempt(running, before, begin)
        self._display.started(planned, running)

    def _collect(self) -> None:
        for planned, attempt in list(self._attempts.items()):
            code = attempt.running.poll()
            if code is None:
                continue
            del self._attempts[planned]
            self._backend.release(attempt.running)
            asked, log = self._stop.asked, attempt.running.log
            outcome = ended(planned, code, attempt.before, log, attempt.begin, asked)
            self._finish(planned, outcome)
            if outcome.status is Status.DISK_FULL:
                self._waiting.clear()  # the others would only fail alike

    def _finish(self, planned: Planned, outcome: Outcome) -> None:
        self._outcomes[planned] = outcome
        self._display.finished(planned, outcome)

    def _pass_stop_on(self) -> None:
        if self._stop.count == self._told:
            return
        self._told = self._stop.count
        self._display.stopping(len(self._attempts), kill=self._told > 1)
        for attempt in self._attempts.values():
            if self._told > 1:
                attempt.running.kill()
            else:
                attempt.running.stop()

    def _kill(self) -> None:
        """Only after an error of ours: nothing is left running."""
        for attempt in self._attempts.values():
            attempt.running.kill()

    def _places(self) -> dict[Planned, str]:
        return {planned: attempt.running.where for planned, attempt in self._attempts.items()}


def _elsewhere(planned: Planned) -> AlgoperfError:
    return AlgoperfError(f"another process is running the trial in {planned.folder}")


@contextmanager
def _signals(stop: Stop) -> Iterator[None]:
    heard = [n for n in _SIGNALS if signal.getsignal(n) != signal.SIG_IGN]  # nohup ignores SIGHUP
    before = {number: signal.signal(number, stop) for number in heard}
    try:
        yield
    finally:
        sys.stdout.flush()
        for number, handler in before.items():
            signal.signal(number, handler)
