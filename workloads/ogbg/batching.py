"""Which molecules share a batch?  Neighbours in the epoch's order, as many as a budget of atoms,
bonds and molecules has room for.

Molecules are taken one after the other; the first that does not fit opens the next batch.  The
batches of an epoch follow from its order and the molecules' sizes alone: computed once an epoch,
and a resume needs no state.

Shapes: M molecules, of which P stand in an order.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from algoperf_pt.data.order import check_divisible
from algoperf_pt.data.reader import Indices
from algoperf_pt.errors import ConfigError
from algoperf_pt.seeds import derive


@dataclass(frozen=True)
class Budget:
    """What a batch has room for: graphs, nodes, directed edges."""

    graphs: int
    nodes: int
    edges: int

    @staticmethod
    def of(graphs: int, nodes_per_graph: int, edges_per_graph: int) -> "Budget":
        """So many graphs of a mean size."""
        return Budget(graphs, nodes_per_graph * graphs, edges_per_graph * graphs)


def batch_starts(nodes: Indices, edges: Indices, budget: Budget) -> Indices:
    """First molecule of each batch, then P.

    Args:
        nodes, edges: [P] sizes in the order in which they come.
        budget: of a batch.

    Raises:
        ConfigError: a molecule that no batch has room for.
    """
    count = len(nodes)
    _refuse_large(nodes, edges, budget)
    following = np.arange(count) + budget.graphs  # a batch from each place would end before this
    for sizes, limit in ((nodes, budget.nodes), (edges, budget.edges)):
        total = np.concatenate([[0], np.cumsum(sizes)])
        ends = np.searchsorted(total, total[:-1] + limit, side="right") - 1
        following = np.minimum(following, ends)
    jumps, starts = np.minimum(following, count).tolist(), [0]
    while starts[-1] < count:
        starts.append(jumps[starts[-1]])
    return np.array(starts)


def _refuse_large(nodes: Indices, edges: Indices, budget: Budget) -> None:
    for name, sizes, limit in (("atoms", nodes, budget.nodes), ("edges", edges, budget.edges)):
        if len(sizes) and sizes.max() > limit:
            raise ConfigError(
                f"a molecule of {sizes.max()} {name} does not fit into a batch of {budget.graphs}",
                expected=f"at most {limit} {name}",
                where="submission.batch_size, and the budget in workload.data.options",
                fix="a larger batch",
            )


class GraphOrder:
    """The molecules of every step.

    Args:
        nodes, edges: [M] sizes of the split's molecules; edges are directed.
        budget: of a step, all ranks together.
        seed: of the order.
        rank, world: this rank and the number of ranks.

    Raises:
        ConfigError: a batch larger than an epoch or not divisible by the ranks, a molecule larger
            than a batch.
    """

    def __init__(
        self, nodes: Indices, edges: Indices, budget: Budget, seed: int, rank: int, world: int
    ) -> None:
        check_divisible(budget.graphs, world)
        _refuse_large(nodes, edges, budget)
        self._sizes, self._budget = (nodes, edges), budget
        self._seed, self._rank, self._world = seed, rank, world
        self._first_step = [0]  # of each epoch so far: their numbers of batches differ
        self._epoch: tuple[int, Indices, Indices] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_epoch": None}  # for a loader worker

    @property
    def rows(self) -> int:
        """Rows of a rank's batch, whether molecules fill them or not."""
        return self._budget.graphs // self._world

    def molecules(self, step: int) -> Indices:
        """Those of this rank at a step (0-based), at most `rows`."""
        epoch = self._epoch_of(step)
        order, starts = self._batches_of(epoch)
        number = step - self._first_step[epoch]
        return order[starts[number] + self._rank : starts[number + 1] : self._world]

    def _epoch_of(self, step: int) -> int:
        while step >= self._first_step[-1]:
            starts = self._batches_of(len(self._first_step) - 1)[1]
            if len(starts) < 2:
                raise ConfigError(
                    f"{len(self._sizes[0])} molecules do not fill a batch of {self._budget.graphs}",
                    expected="a smaller batch",
                    where="submission.batch_size",
                )
            self._first_step.append(self._first_step[-1] + len(starts) - 1)
        return int(np.searchsorted(self._first_step, step, side="right")) - 1

    def _batches_of(self, epoch: int) -> tuple[Indices, Indices]:
        """(order of the molecules, first place of each full batch and the end of the last)."""
        if self._epoch is None or self._epoch[0] != epoch:
            rng = np.random.default_rng(derive(self._seed, "epoch", epoch))
            order = rng.permutation(len(self._sizes[0]))
            nodes, edges = (sizes[order] for sizes in self._sizes)
            starts = batch_starts(nodes, edges, self._budget)
            if starts[-1] - starts[-2] < self._budget.graphs:
                starts = starts[:-1]  # the order ended before the batch was full
            self._epoch = (epoch, order, starts)
        return self._epoch[1], self._epoch[2]
