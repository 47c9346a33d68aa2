"""Clocks that are wrong."""

import json
import os
import time
from pathlib import Path

from timing.wall_clock_target import WallClockTarget


class SkewedClock(WallClockTarget):
    """Runs 50 times as fast on rank 1; writes at which steps each rank evaluated."""

    def __init__(self):
        self.factor = 50.0 if os.environ.get("RANK") == "1" else 1.0
        self.start = time.perf_counter()
        self.steps = []
        super().__init__(now=self.read, raw=self.read)

    def read(self):
        return self.start + self.factor * (time.perf_counter() - self.start)

    def _row(self, metrics):
        self.steps.append(self.trial.step)
        path = Path(self.trial.records.folder, f"evaluated_by_{self.trial.ranks.rank}.json")
        path.write_text(json.dumps(self.steps))
        return super()._row(metrics)
