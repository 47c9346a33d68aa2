"""Is a trial alive?  When it last gave a sign of life, and what it was doing.

The beat in clock.bin counts by this machine's monotonic clock, which on another machine shows
something else.  Files that were written, and a beat that was seen to change, count everywhere; the
mapped clock's own time of change says nothing.
"""

import time
from dataclasses import dataclass

from algoperf_pt.driver import CONFIG
from algoperf_pt.heartbeat import Beat, Phase, parse_beat
from algoperf_pt.records import ALL_ROWS, EVAL_ROWS
from algoperf_pt.watch.files import read_part
from algoperf_pt.watch.find import Listing

_CLOCK_BYTES = 4096
_AHEAD = 60.0  # s by which another machine's clock may be ahead


@dataclass(frozen=True)
class Now:
    """The moment of a look."""

    wall: float  # s since the epoch
    monotonic: float  # s of this machine's


def now() -> Now:
    """This moment."""
    return Now(time.time(), time.monotonic())


class Life:
    """The signs of life of one trial."""

    def __init__(self) -> None:
        self.beat: Beat | None = None
        self._seen: float | None = None  # monotonic s at which the beat was seen to change

    def read(self, path: str, at: Now) -> None:
        """Look at its clock.

        Raises:
            Unreadable: it is a link, or no plain file.
        """
        found = parse_beat(read_part(path, 0, _CLOCK_BYTES))
        if self.beat is not None and found != self.beat:
            self._seen = at.monotonic
        self.beat = found

    def silent(self, listed: Listing, at: Now) -> float | None:
        """Seconds since the last sign of life; None: there was none."""
        written = [at.wall - changed / 1e9 for changed, _, _ in listed.stamps.values()]
        ages = [age for age in (*self._beats(at), *written) if age > -_AHEAD]
        return max(0.0, min(ages)) if ages else None

    def phase(self, listed: Listing, at: Now) -> Phase:
        """What it does.  A beat from before the configuration is an earlier attempt's, unless rows
        have been written since.
        """
        if self.beat is None:
            return Phase.SETUP
        begun = _changed(listed, CONFIG)
        rows = max(_changed(listed, EVAL_ROWS), _changed(listed, ALL_ROWS))
        ages = [age for age in self._beats(at) if age >= 0]
        earlier = bool(ages) and at.wall - begun < min(ages) and rows < begun
        return Phase.SETUP if earlier else self.beat.phase

    def _beats(self, at: Now) -> list[float]:
        known = [None if self.beat is None else self.beat.at, self._seen]
        return [at.monotonic - moment for moment in known if moment is not None]


def _changed(listed: Listing, name: str) -> float:
    """When a file was written, s since the epoch; 0.0 where there is none."""
    return listed.stamps.get(name, (0, 0, 0))[0] / 1e9
