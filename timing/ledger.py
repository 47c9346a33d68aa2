"""Where did every second of a trial go?  One bucket is open at any moment, so nothing can fall
between two.

Seconds, monotonic clock (docs/adr/0001-clock.md).
"""

import time
from collections.abc import Callable

TIMED = ("data", "step", "prepare_for_eval", "lost")  # "lost": work redone after a kill
UNTIMED = ("eval", "checkpoint", "logging", "clock")
BUCKETS = TIMED + UNTIMED

# The audit's limits: the parts may differ from the independent clock by this share of it plus this
# many seconds.
AUDIT_SHARE = 1e-3
AUDIT_SECONDS = 2e-3
_PAIRS = 5  # readings of both clocks, of which the closest pair counts


class Ledger:
    """Seconds by bucket.  `switch` is called several times a step: it does nothing but two
    additions.

    Args:
        now: the clock, seconds; tests give a fake one.
        raw: an independent clock for the audit (CLOCK_MONOTONIC_RAW, which nothing adjusts).
    """

    def __init__(
        self,
        now: Callable[[], float] = time.perf_counter,
        raw: Callable[[], float] = lambda: time.clock_gettime(time.CLOCK_MONOTONIC_RAW),
    ) -> None:
        self._now, self._raw = now, raw
        self.spent = dict.fromkeys(BUCKETS, 0.0)
        self._open, self._mark = "clock", now()
        self._restored, self._raw_start, self._doubt = 0.0, raw(), 0.0

    def start(self, bucket: str = "data") -> None:
        """Open the first bucket: the submission's clock starts here.  What was booked
        before stays."""
        self._mark, self._raw_start, self._doubt = self._both()
        self._open, self._restored = bucket, sum(self.spent.values())

    def switch(self, bucket: str) -> str:
        """Close the open bucket and open `bucket`; returns the closed one."""
        if bucket not in self.spent:
            raise KeyError(f"no bucket {bucket!r}; choose from {sorted(self.spent)}")
        now = self._now()
        closed = self._open
        self.spent[closed] += now - self._mark
        self._mark, self._open = now, bucket
        return closed

    def charge_lost(self, seconds: float) -> None:
        """Book work that a kill destroyed and that is now redone."""
        self.spent["lost"] += seconds

    def timed(self) -> float:
        """Seconds on the submission's clock up to now, the open bucket included."""
        spent = self.spent
        total = spent["data"] + spent["step"] + spent["prepare_for_eval"] + spent["lost"]
        return total + (self._now() - self._mark if self._open in TIMED else 0.0)

    def total(self) -> float:
        """Seconds in all buckets up to now, over all attempts of the trial."""
        return sum(self.spent.values()) + (self._now() - self._mark)

    def discrepancy(self) -> tuple[float, float]:
        """(unexplained seconds, wall seconds) of this attempt: parts against the independent clock.

        What passed between two readings that belong together (the process was set aside) is doubt,
        and no part of the difference.
        """
        now, raw, doubt = self._both()
        parts = sum(self.spent.values()) + (now - self._mark) - self._restored
        wall = raw - self._raw_start
        return max(0.0, abs(parts - wall) - doubt - self._doubt), wall

    def _both(self) -> tuple[float, float, float]:
        """(time, independent time, seconds between the readings): the closest of a few pairs."""
        pairs = []
        for _ in range(_PAIRS):
            before, raw, after = self._now(), self._raw(), self._now()
            pairs.append((after - before, before, raw))
        doubt, now, raw = min(pairs)
        return now, raw, doubt

    def adds_up(self) -> bool:
        """Whether the parts equal the independent clock within the audit's limits."""
        gap, wall = self.discrepancy()
        return gap <= AUDIT_SHARE * wall + AUDIT_SECONDS

    def state_dict(self) -> dict[str, float]:
        """Booked seconds by bucket, the open bucket's running time included."""
        state = dict(self.spent)
        state[self._open] += self._now() - self._mark
        return state

    def load_state_dict(self, state: dict[str, float]) -> None:
        """Take over the books of an earlier attempt (before `start`)."""
        self.spent = {bucket: float(state[bucket]) for bucket in BUCKETS}
