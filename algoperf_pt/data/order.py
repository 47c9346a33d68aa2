"""Which rows make up the batch of a step?  A pure function of (seed, step, rank): resume needs no
state.

The global batch of a step is a slice of its epoch's permutation; the incomplete last one is
dropped.  Rank r takes every world-th row from r on, so the union over ranks is the same for any
number of ranks.
"""

from typing import Any

import numpy as np

from algoperf_pt.errors import ConfigError
from algoperf_pt.seeds import derive

Indices = np.ndarray[Any, np.dtype[np.int64]]
Weights = np.ndarray[Any, np.dtype[np.float32]]

IN_MEMORY = (
    2**24
)  # rows up to which a permutation is drawn whole (128 MiB of int64); beyond it is computed
_ROUNDS = 4


class Order:
    """The order of the training rows.

    Args:
        n: rows of the split.
        global_batch_size: rows of a step over all ranks.
        seed: of the order.
        rank, world: this rank and the number of ranks.

    Raises:
        ConfigError: a batch larger than the split, or not divisible by the ranks.
    """

    def __init__(self, n: int, global_batch_size: int, seed: int, rank: int, world: int) -> None:
        check_divisible(global_batch_size, world)
        if not 0 < global_batch_size <= n:
            raise ConfigError(
                f"a batch of {global_batch_size} examples cannot be drawn from {n}",
                expected=f"a batch size from 1 to {n}",
                where="submission.batch_size",
            )
        self.n, self.batch, self.seed, self.rank, self.world = (
            n,
            global_batch_size,
            seed,
            rank,
            world,
        )
        self._cached: tuple[int, Indices] | None = None

    @property
    def steps_per_epoch(self) -> int:
        """Full batches in the split."""
        return self.n // self.batch

    def indices(self, step: int) -> Indices:
        """Rows [global batch / world] of this rank at a step (0-based)."""
        epoch, number = divmod(step, self.steps_per_epoch)
        places = np.arange(number * self.batch + self.rank, (number + 1) * self.batch, self.world)
        return self.rows(epoch, places)

    def rows(self, epoch: int, places: Indices) -> Indices:
        """Rows at ascending places of an epoch's order; override it for another order."""
        if self.n > IN_MEMORY:
            return feistel(places, self.n, derive(self.seed, "epoch", epoch))
        return self._permutation(epoch)[places]

    def _permutation(self, epoch: int) -> Indices:
        if self._cached is None or self._cached[0] != epoch:
            rng = np.random.default_rng(derive(self.seed, "epoch", epoch))
            self._cached = (epoch, rng.permutation(self.n))
        return self._cached[1]


def eval_plan(
    n: int, global_batch_size: int, rank: int, world: int, number: int
) -> tuple[Indices, Weights]:
    """(rows, weights) [global batch / world] of this rank in evaluation batch `number`.

    Each row of the split stands in exactly one batch; places behind the end hold row 0 with weight
    0.
    """
    check_divisible(global_batch_size, world)
    start = number * global_batch_size
    places = np.arange(start + rank, start + global_batch_size, world)
    real = places < n
    return np.where(real, places, 0), real.astype(np.float32)


def check_divisible(global_batch_size: int, world: int) -> None:
    """Every rank gets the same number of rows."""
    if global_batch_size % world:
        raise ConfigError(
            f"a batch of {global_batch_size} examples cannot be shared equally by {world} ranks",
            expected=f"a multiple of {world}",
            where="submission.batch_size or workload.eval_batch_size",
        )


def feistel(places: Indices, n: int, seed: int) -> Indices:
    """Row at each place of a keyed permutation of 0..n-1, without holding it: a Feistel network
    with cycle walking.
    """
    half = (max(2, (n - 1).bit_length()) + 1) // 2
    shift, mask = np.uint64(half), np.uint64((1 << half) - 1)
    keys = np.random.SeedSequence(seed).generate_state(_ROUNDS, np.uint64)
    out = np.empty(len(places), np.uint64)
    todo, current = np.arange(len(places)), places.astype(np.uint64)
    while len(todo):
        left, right = current >> shift, current & mask
        for key in keys:
            left, right = right, (left ^ _mix(right ^ key)) & mask
        current = (left << shift) | right
        inside = current < np.uint64(n)
        out[todo[inside]] = current[inside]
        todo, current = todo[~inside], current[~inside]
    return out.astype(np.int64)


def _mix(x: "np.ndarray[Any, np.dtype[np.uint64]]") -> "np.ndarray[Any, np.dtype[np.uint64]]":
    """A 64-bit finaliser: every input bit changes about half of the output bits."""
    x = (x ^ (x >> np.uint64(33))) * np.uint64(0xFF51AFD7ED558CCD)
    x = (x ^ (x >> np.uint64(29))) * np.uint64(0xC4CEB9FE1A85EC53)
    return x ^ (x >> np.uint64(32))
