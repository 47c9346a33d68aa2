"""How is one trial doing?  Its folder, looked at again and again; only files that have changed are
read again.
"""

import hashlib
import os

from algoperf_pt.driver import CONFIG
from algoperf_pt.heartbeat import CLOCK_FILE, Phase
from algoperf_pt.records import EVAL_ROWS, EVENTS
from algoperf_pt.result import RESULT
from algoperf_pt.status import FINAL, Status
from algoperf_pt.sweep.child import CONSOLE, PLANNED
from algoperf_pt.watch.clean import clean, clean_lines
from algoperf_pt.watch.extrapolate import Guess, extrapolate
from algoperf_pt.watch.facts import MOST_BYTES, End, Facts, end_of, facts_of, number
from algoperf_pt.watch.files import Unreadable, read_json, read_tail
from algoperf_pt.watch.find import Listing, Place, Stamp, listing
from algoperf_pt.watch.life import Life, Now
from algoperf_pt.watch.rows import Rows, RowsFile
from algoperf_pt.watch.view import Live, View

_LOG_BYTES = 1 << 16  # of the end of a console
_LOG_LINES = 40


class TrialReader:
    """One trial folder.

    Args:
        place: where, and whose.
        path: the folder as it is shown.
        stalled: s of silence after which it counts as stalled; None: as its own supervisor says.
    """

    def __init__(self, place: Place, path: str, stalled: float | None) -> None:
        self._place, self._stalled = place, stalled
        self.key = hashlib.sha256(os.fsencode(path)).hexdigest()[:16]
        names = (clean(place.submission, 80), place.study, clean(place.workload, 80), place.trial)
        self._names = (self.key, clean(path, 400), *names)
        self._facts, self._end = Facts(), End(None)
        self._facts_stamp: Stamp | None = None
        self._end_stamp: Stamp | None = None  # None: it has not ended
        self._rows = RowsFile(self._file(EVAL_ROWS), "", True)
        self._life = Life()
        self._folder_stamp = 0
        self._final: View | None = None
        self._notes: dict[str, str] = {}

    def look(self, at: Now) -> View:
        """The trial as its files say now."""
        changed = self._folder_changed()
        if self._final is not None and not changed:
            return self._final
        listed = listing(self._place.folder)
        self._read_facts(listed)
        self._rows.update(listed.stamps.get(EVAL_ROWS))
        self._read_clock(at)
        self._read_end(listed)
        view = self._view(listed, at)
        self._final = view if view.state in FINAL else None
        return view

    def log(self) -> list[str]:
        """The last lines of its console, or else of its event log."""
        for name in (CONSOLE, EVENTS):
            try:
                content = read_tail(self._file(name), _LOG_BYTES)
            except Unreadable as error:
                return [f"({name}: {error})"]
            if content:
                return clean_lines(content, _LOG_LINES)
        return []

    # ---- files

    def _file(self, name: str) -> str:
        return os.path.join(self._place.folder, name)

    def _folder_changed(self) -> bool:
        """Whether files have come or gone; what is over changes in no other way."""
        try:
            stamp = os.lstat(self._place.folder).st_mtime_ns
        except OSError:
            stamp = -1
        changed, self._folder_stamp = stamp != self._folder_stamp, stamp
        return changed

    def _read_facts(self, listed: Listing) -> None:
        name = CONFIG if CONFIG in listed.stamps else PLANNED
        stamp = listed.stamps.get(name)
        if stamp == self._facts_stamp:
            return
        self._facts_stamp = stamp
        self._facts = facts_of(self._json(name))
        about = (self._facts.metric, self._facts.larger)
        if about != (self._rows.rows.metric, self._rows.rows.larger):
            self._rows = RowsFile(self._file(EVAL_ROWS), *about)

    def _read_end(self, listed: Listing) -> None:
        stamp = listed.stamps.get(RESULT)
        if stamp != self._end_stamp:
            self._end_stamp = stamp
            self._end = End(None) if stamp is None else end_of(self._json(RESULT))

    def _read_clock(self, at: Now) -> None:
        """Always: a mapped file's time of change says nothing."""
        self._notes.pop(CLOCK_FILE, None)
        try:
            self._life.read(self._file(CLOCK_FILE), at)
        except Unreadable as error:
            self._notes[CLOCK_FILE] = f"{CLOCK_FILE}: {error}"

    def _json(self, name: str) -> dict[str, object]:
        self._notes.pop(name, None)
        try:
            return read_json(self._file(name), MOST_BYTES)
        except Unreadable as error:
            self._notes[name] = f"{name}: {error}"
            return {}

    # ---- what they mean

    def _view(self, listed: Listing, at: Now) -> View:
        rows, end = self._rows.rows, self._end
        phase, silent = self._life.phase(listed, at), self._life.silent(listed, at)
        state = self._state(listed, phase, silent)
        ended = not isinstance(state, Live)
        used, step = self._used(rows), self._step(rows)
        reached = self._reached(rows) if end.reached_at is None else end.reached_at
        notes = [*self._notes.values(), *([rows.note] if rows.note else [])]
        return View(
            *self._names,
            state=state,
            facts=self._facts,
            metric=clean(self._facts.metric, 40),
            doing="" if ended else phase.name.lower(),
            silent=None if ended or state is Live.WAITING else silent,
            best=rows.best,
            used=used,
            step=step,
            step_time=self._step_time(ended, used, step),
            evaluations=rows.count,
            attempts=listed.attempts,
            reached_at=reached,
            guess=self._guess(rows) if state is Live.RUNNING and reached is None else None,
            message=end.message,
            notes=tuple(clean(note) for note in notes),
            points=tuple(rows.points),
        )

    def _state(self, listed: Listing, phase: Phase, silent: float | None) -> Status | Live:
        if self._end_stamp is not None:
            return self._end.status or Live.UNREADABLE
        if CONFIG not in listed.stamps:
            return Live.WAITING if PLANNED in listed.stamps else Live.UNREADABLE
        step = None if self._life.beat is None else self._life.beat.step
        most = self._stalled or self._facts.limits.silence(phase, step)
        return Live.STALLED if silent is not None and silent > most else Live.RUNNING

    def _used(self, rows: Rows) -> float | None:
        if self._end.elapsed is not None:
            return self._end.elapsed
        beat = self._life.beat
        known = [] if beat is None else [max(0.0, beat.timed)]
        known += [rows.points[-1].time] if rows.points else []
        return max(known, default=None)

    def _step(self, rows: Rows) -> float | None:
        if self._end.step is not None:
            return self._end.step
        return number(rows.points[-1].step) if rows.points else None

    def _step_time(self, ended: bool, used: float | None, step: float | None) -> float | None:
        if not ended and self._life.beat is not None:
            return number(self._life.beat.step)
        return used / step if used is not None and step else None

    def _reached(self, rows: Rows) -> float | None:
        met = (t for t, v in rows.values("validation") if self._facts.reached(v))
        return next(met, None)

    def _guess(self, rows: Rows) -> Guess | None:
        target = self._facts.target
        return None if target is None else extrapolate(list(rows.values("validation")), target)
