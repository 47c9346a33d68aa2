"""ogbg from shards: the molecules of a batch, gathered from flat arrays that all processes share.

A split is one member of one shard, so each of its parts is an array in the file: it is mapped into
memory, and a batch is a few gathers, whatever the number of molecules.

Shapes: B rows of a rank, N nodes, E directed edges (two a bond), T tasks.
"""

import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from algoperf_pt.data.augment import Augment
from algoperf_pt.data.index import DataIndex
from algoperf_pt.data.order import eval_plan
from algoperf_pt.data.reader import Indices, ranges
from algoperf_pt.errors import DataError
from algoperf_pt.ranks import Ranks
from algoperf_pt.workload_data import Batch, WorkloadData
from workloads.ogbg.batching import Budget, GraphOrder

NODE_CODES, EDGE_CODES, MISSING = 9, 3, 2  # a label is 0, 1 or missing

Array = np.ndarray[Any, Any]


class OgbgData(WorkloadData):
    """Batches: `inputs` [N, 9], `edges` [E, 3] uint8 codes; `senders`, `receivers` [E] and the row
    of each node and edge, `node_graph` [N] and `edge_graph` [E], int32; `targets`, `weights` [B, T]
    float32, weight 0 where a label is missing.  Nodes and edges stand in the order of their rows,
    of a molecule's edges first all bonds as they are stored, then all of them reversed.  Rows
    behind the last molecule have no nodes and no weight.

    Args:
        nodes_per_graph, edges_per_graph: a training batch of B molecules has room for as many times
            B nodes and directed edges.
        common: as `WorkloadData` takes them.
    """

    heeds_subset = True

    def __init__(self, nodes_per_graph: int, edges_per_graph: int, **common: Any) -> None:
        super().__init__(**common)
        self.mean_sizes = (nodes_per_graph, edges_per_graph)
        self._molecules: dict[str, Molecules] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_molecules": {}}  # a worker maps the files itself

    def molecules(self, split: str) -> "Molecules":
        """The split's arrays."""
        if split not in self._molecules:
            self._molecules[split] = Molecules.open(self.index, split)
        return self._molecules[split]

    def train_order(self, global_batch_size: int, seed: int, ranks: Ranks) -> GraphOrder:
        """As many molecules as the budget has room for."""
        table = self.molecules("train")
        budget = Budget.of(global_batch_size, *self.mean_sizes)
        sizes = table.nodes, 2 * table.bonds
        if self.kept is not None:
            sizes = sizes[0][self.kept], sizes[1][self.kept]
        return GraphOrder(*sizes, budget, seed, ranks.rank, ranks.world)

    def train_batch(self, order: GraphOrder, step: int, augment: Augment) -> dict[str, Tensor]:
        """The molecules of a step."""
        chosen = self.stored_rows(order.molecules(step))
        return self.molecules("train").batch(chosen, order.rows)

    def build(self, split: str, indices: Indices, augment: Augment | None) -> dict[str, Tensor]:
        """These molecules and no empty rows."""
        return self.molecules(split).batch(indices, len(indices))

    def row_sizes(self, split: str) -> Indices:
        """Directed edges and nodes."""
        table = self.molecules(split)
        return np.stack([2 * table.bonds, table.nodes], axis=1)

    def eval_batches(self, split: str, ranks: Ranks) -> Iterator[Batch]:
        """Each molecule once; rows behind the last one hold nothing."""
        make = _EvalBatch(self, split, ranks.rank, ranks.world)
        return self._stream(make, 0, -(-self.eval_rows(split) // self.eval_batch_size), ranks)


class _EvalBatch:
    """Number of an evaluation batch -> batch."""

    def __init__(self, data: OgbgData, split: str, rank: int, world: int) -> None:
        self.data, self.split, self.rank, self.world = data, split, rank, world
        self.rows = data.eval_index(split)

    def __call__(self, number: int) -> dict[str, Tensor]:
        size, count = self.data.eval_batch_size, self.data.eval_rows(self.split)
        places, weights = eval_plan(count, size, self.rank, self.world, number)
        real = places[weights > 0]
        chosen = real if self.rows is None else self.rows[real]
        return self.data.molecules(self.split).batch(chosen, len(places))


class Molecules:
    """Arrays over the M molecules of a split, and over their atoms and bonds, one molecule behind
    the other.

    Args:
        nodes, bonds: int64 [M], numbers of each molecule's atoms and bonds.
        node_codes: uint8 [all atoms, 9].
        bond_codes: uint8 [all bonds, 3].
        ends: uint16 [all bonds, 2], atoms that a bond joins, counted within the molecule.
        labels: uint8 [M, T]: 0, 1 or `MISSING`.
    """

    def __init__(
        self,
        nodes: Indices,
        bonds: Indices,
        node_codes: Array,
        bond_codes: Array,
        ends: Array,
        labels: Array,
    ) -> None:
        self.nodes, self.bonds, self.labels = nodes, bonds, labels
        self._node_codes, self._bond_codes, self._ends = node_codes, bond_codes, ends
        self._first_node, self._first_bond = _before(nodes), _before(bonds)

    @staticmethod
    def open(index: DataIndex, split: str) -> "Molecules":
        """Mapped into memory; checksums compared.

        Raises:
            DataError: a damaged shard.
        """
        parts = {name: _mapped(index, split, name) for name in index.parts(split)}
        return Molecules(
            nodes=parts["nodes"].view(np.uint16).astype(np.int64),
            bonds=parts["bonds"].view(np.uint16).astype(np.int64),
            node_codes=parts["atom"].reshape(-1, NODE_CODES),
            bond_codes=parts["bond"].reshape(-1, EDGE_CODES),
            ends=parts["ends"].view(np.uint16).reshape(-1, 2),
            labels=parts["label"].reshape(index.rows(split), -1),
        )

    def batch(self, chosen: Indices, rows: int) -> dict[str, Tensor]:
        """A batch of the chosen molecules, with `rows` rows."""
        nodes, bonds = self.nodes[chosen], self.bonds[chosen]
        atoms = ranges(self._first_node[chosen], nodes)
        twice = np.repeat(bonds, 2)  # a molecule's bonds, then the same reversed
        edges = ranges(np.repeat(self._first_bond[chosen], 2), twice)
        backwards = np.repeat(np.arange(len(twice)) % 2 == 1, twice)
        ends = self._ends[edges].astype(np.int32)
        ends[backwards] = ends[backwards, ::-1]
        ends += np.repeat(_before(nodes).astype(np.int32), 2 * bonds)[:, None]
        number = np.arange(len(chosen), dtype=np.int32)
        targets, weights = self._labels(chosen, rows)
        arrays = {
            "inputs": self._node_codes[atoms],
            "edges": self._bond_codes[edges],
            "senders": np.ascontiguousarray(ends[:, 0]),
            "receivers": np.ascontiguousarray(ends[:, 1]),
            "node_graph": np.repeat(number, nodes),
            "edge_graph": np.repeat(number, 2 * bonds),
            "targets": targets,
            "weights": weights,
        }
        return {name: torch.from_numpy(array) for name, array in arrays.items()}

    def _labels(self, chosen: Indices, rows: int) -> tuple[Array, Array]:
        """(targets, weights) float32 [rows, T]."""
        labels = np.full((rows, self.labels.shape[1]), MISSING, np.uint8)
        labels[: len(chosen)] = self.labels[chosen]
        return (labels == 1).astype(np.float32), (labels != MISSING).astype(np.float32)


def _before(counts: Indices) -> Indices:
    """Sum of all counts before each."""
    return np.cumsum(counts) - counts


def _mapped(index: DataIndex, split: str, name: str) -> Array:
    """uint8: a part of a split's only member."""
    parts = index.members(split)[1][name]
    (shard,), (offset,), (size,), (crc,) = parts.shard, parts.offset, parts.size, parts.crc32
    path = index.shards(split)[shard]
    if not size:
        return np.zeros(0, np.uint8)
    mapped = np.memmap(path, np.uint8, "r", offset=int(offset), shape=(int(size),))
    if zlib.crc32(mapped.data) != crc:
        raise DataError(
            f"{path}: part {name!r} of the split {split!r} is corrupt",
            expected="the checksum that stands in index.npz",
            fix="algoperf-prepare NAME --verify lists every damaged shard; --force mends",
        )
    return np.asarray(mapped)
