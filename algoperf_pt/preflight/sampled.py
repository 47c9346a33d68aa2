"""How long does an evaluation take, if there is no time for all of it?  Each split's batches come
for so many seconds and then end; the rest is extrapolated by the size of its rows.
"""

import time
from collections.abc import Iterator
from typing import Any

from algoperf_pt.preflight.longest import evaluated_rows
from algoperf_pt.ranks import Ranks
from algoperf_pt.workload_data import Batch, WorkloadData


class Sampled:
    """The data of a judged copy, cut short.

    Args:
        data: whose `eval_batch_size` is one rank's share.
        seconds: of all splits together.
        world: ranks that share the rows of a split.
    """

    def __init__(self, data: WorkloadData, seconds: float, world: int) -> None:
        self._data, self._seconds, self._world = data, seconds / 3, world
        self.spent: dict[str, float] = {}
        self.share: dict[str, float] = {}  # of one rank's part of the split that was seen

    def __getattr__(self, name: str) -> Any:
        return getattr(self._data, name)

    def eval_batches(self, split: str, ranks: Ranks) -> Iterator[Batch]:
        """The first batches of a split; of a rank's share, none is left out if there is time."""
        size, rows = self._data.eval_batch_size, self._data.eval_rows(split)
        whole = max(1, -(-rows // (size * self._world)))
        start, seen = time.perf_counter(), 0
        for batch in self._data.eval_batches(split, ranks):
            yield batch
            seen += 1
            self.spent[split] = time.perf_counter() - start
            if seen == whole or self.spent[split] > self._seconds:
                break
        ranks.synchronize()
        self.spent[split] = time.perf_counter() - start
        complete = seen == whole and self._world == 1
        self.share[split] = 1.0 if complete else self._done(split, seen * size)

    def _done(self, split: str, rows: int) -> float:
        """Share of a rank's work that the first `rows` rows are."""
        sizes = self._data.row_sizes(split)
        if sizes is None:
            return min(1.0, rows * self._world / self._data.eval_rows(split))
        each = sizes[evaluated_rows(self._data, split), 0]
        return float(each[:rows].sum() / each.sum()) * self._world

    def estimate(self, spent: float) -> dict[str, Any]:
        """Seconds of a whole evaluation, of which `spent` were spent on what was seen."""
        rest = {split: self.spent[split] * (1 / self.share[split] - 1) for split in self.share}
        by_split = {split: self.spent[split] / self.share[split] for split in self.share}
        return {
            "seconds": spent + sum(rest.values()),
            "seconds_by_split": by_split,
            "share_seen": self.share,
            "extrapolated": any(share < 1 for share in self.share.values()),
        }
