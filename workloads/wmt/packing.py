"""Which sentence pairs share a training row?  Neighbours in the epoch's order, as long as they fit.

The order of an epoch is a permutation of the pairs that are not too long.  It is cut into groups of
`length` pairs; in each, pairs are put one behind the other into a row until one does not fit.  So
rows are stretches of the order, and which they are follows from the lengths alone: computed for
all groups side by side once an epoch, and a resume needs no state.

Shapes: N pairs, P pairs of an order, R rows.
"""

from typing import Any

import numpy as np

from algoperf_pt.data.order import check_divisible
from algoperf_pt.data.reader import Indices, ranges
from algoperf_pt.errors import ConfigError
from algoperf_pt.seeds import derive

Bools = np.ndarray[Any, np.dtype[np.bool_]]


def row_starts(source: Indices, target: Indices, length: int, group: int) -> Indices:
    """First pair of each row, [R]; a row never spans two groups.

    Args:
        source, target: [P] tokens of each pair, none above `length`.
        length: places in a row, on either side.
        group: pairs in a group.
    """
    count = len(source)
    groups = -(-count // group)
    sides = np.zeros((2, group, groups), np.int64)  # pair number first: each is one vector step
    for side, lengths in zip(sides, (source, target)):
        padded = np.zeros(groups * group, np.int64)
        padded[:count] = lengths
        side[:] = padded.reshape(groups, group).T
    used = np.zeros((2, groups), np.int64)
    starts = np.zeros((group, groups), bool)
    for number in range(group):
        pair = sides[:, number]
        full = ((used + pair) > length).any(0)
        used = np.where(full, pair, used + pair)
        starts[number] = full
    starts[0] = True
    return np.flatnonzero(starts.T.ravel()[:count])


class PackedOrder:
    """The pairs of every row of every step.

    Args:
        source, target: [N] tokens of each pair of the split that count.
        pairs: rows of the split that may be used.
        length: places in a row.
        global_batch_size: rows of a step over all ranks.
        seed: of the order.
        rank, world: this rank and the number of ranks.

    Raises:
        ConfigError: a batch larger than an epoch, or not divisible by the ranks.
    """

    def __init__(
        self,
        source: Indices,
        target: Indices,
        pairs: Indices,
        length: int,
        global_batch_size: int,
        seed: int,
        rank: int,
        world: int,
    ) -> None:
        check_divisible(global_batch_size, world)
        self._lengths, self._pairs, self._length = (source, target), pairs, length
        self._batch, self._seed, self._rank, self._world = global_batch_size, seed, rank, world
        self._first_step = [0]  # of each epoch so far; the rows of an epoch depend on its order
        self._epoch: tuple[int, Indices, Indices] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_epoch": None}  # for a loader worker

    def rows(self, step: int) -> tuple[Indices, Indices]:
        """(pairs, row of each) of this rank at a step (0-based); rows count from 0 in the batch."""
        epoch = self._epoch_of(step)
        order, starts = self._rows_of(epoch)
        first = (step - self._first_step[epoch]) * self._batch
        numbers = np.arange(first + self._rank, first + self._batch, self._world)
        begins, counts = starts[numbers], starts[numbers + 1] - starts[numbers]
        return order[ranges(begins, counts)], np.repeat(np.arange(len(numbers)), counts)

    def _epoch_of(self, step: int) -> int:
        while step >= self._first_step[-1]:
            epoch = len(self._first_step) - 1
            steps = (len(self._rows_of(epoch)[1]) - 1) // self._batch
            if steps == 0:
                raise ConfigError(
                    f"a batch of {self._batch} rows cannot be made of {len(self._pairs)} pairs",
                    expected=f"a batch size up to {len(self._rows_of(epoch)[1]) - 1}",
                    where="submission.batch_size",
                )
            self._first_step.append(self._first_step[-1] + steps)
        return int(np.searchsorted(self._first_step, step, side="right")) - 1

    def _rows_of(self, epoch: int) -> tuple[Indices, Indices]:
        """(order of the pairs [P], first place of each row [R + 1])."""
        if self._epoch is None or self._epoch[0] != epoch:
            rng = np.random.default_rng(derive(self._seed, "epoch", epoch))
            order = rng.permutation(self._pairs)
            source, target = (lengths[order] for lengths in self._lengths)
            starts = row_starts(source, target, self._length, self._length)
            self._epoch = (epoch, order, np.append(starts, len(order)))
        return self._epoch[1], self._epoch[2]
