"""Which rows make up the batch of a step?  Training reads long stretches of rows that follow one
another, in an order drawn anew for each epoch.

The reference permutes files of 5,000,000 lines and reads each from its first line to its last, so a
batch is a few stretches of one file.  Here the stretches are cut from the whole split.  A pure
function of (seed, step, rank), like algoperf_pt.data.order.Order, whose batches it makes.
"""

import numpy as np

from algoperf_pt.data.order import Indices, Order
from algoperf_pt.errors import ConfigError
from algoperf_pt.seeds import derive


class Stretches:
    """The rows 0..n-1 in another order: stretches of consecutive rows, permuted.

    Args:
        n: rows.
        length: rows of a stretch; the one at the end of the split may be shorter.
        seed: of the permutation.

    `stretches[places]` are the rows (int64) at these places of the order (int64, ascending).
    """

    def __init__(self, n: int, length: int, seed: int) -> None:
        rng = np.random.default_rng(seed)
        starts = rng.permutation(-(-n // length)) * length  # row at which each begins
        self._ends = np.cumsum(np.minimum(length, n - starts))  # place behind each
        self._shift = starts - np.concatenate([[0], self._ends[:-1]])  # from place to row

    def __getitem__(self, places: Indices) -> Indices:
        return places + self._shift[np.searchsorted(self._ends, places, side="right")]


class BlockOrder(Order):
    """The order of the training rows by stretches.

    Args:
        length: rows of a stretch.
        n, global_batch_size, seed, rank, world: as `Order` takes them.

    Raises:
        ConfigError: as `Order`; a length below 1.
    """

    def __init__(
        self, length: int, n: int, global_batch_size: int, seed: int, rank: int, world: int
    ) -> None:
        super().__init__(n, global_batch_size, seed, rank, world)
        if length < 1:
            raise ConfigError(
                f"stretches of {length} rows",
                expected="at least 1",
                where="workload.data.options.block_rows",
            )
        self.length = length
        self._stretches: tuple[int, Stretches] | None = None

    def rows(self, epoch: int, places: Indices) -> Indices:
        """Rows of the stretches that lie at these places."""
        if self._stretches is None or self._stretches[0] != epoch:
            seed = derive(self.seed, "epoch", epoch)
            self._stretches = epoch, Stretches(self.n, self.length, seed)
        return self._stretches[1][places]
