"""What is measured of ogbg?  Molecules of the mean size that a batch has room for, and shards of
them.
"""

from pathlib import Path

import numpy as np
import torch

from algoperf_pt.bench import Bench, Reference, Shape
from algoperf_pt.data.reader import Indices
from algoperf_pt.workload_data import Batch
from workloads.ogbg.data import EDGE_CODES, MISSING, NODE_CODES, Molecules
from workloads.ogbg.prepare import sample
from workloads.ogbg.raw import Tables

_SOURCE = "AlgoPerf 0.6's PyTorch side, one thread of a CPU"
_STEP: Shape = {
    "inputs": [1664, NODE_CODES],
    "edges": [3584, EDGE_CODES],
    "targets": [64, 128],
    "model": [5, 256, 256],
}
_PIPELINE = f"{_SOURCE}: jraph on 1,500 molecules in memory"
_LOADERS = ((512, 0.44, 2048, 19_069.95), (64, 0.37, 1023, 11_349.38))  # batch, ratio, units, speed
_MOLECULES = {"train": 100_000, "validation": 30_000, "test": 1_000}
_SPREAD = 0.24  # deviation of a molecule's number of atoms, over its mean
_CODES = (np.array([119, 5, 12, 12, 10, 6, 6, 2, 2]), np.array([5, 6, 2]))  # how many of each
_LABELLED, _ACTIVE = 0.6, 0.03  # shares of labels that are there, and of those that are 1


class OgbgBench(Bench):
    """Random bonds, codes and labels; batches for steps have no row and no node to spare."""

    unit = "graphs"
    references = (
        Reference("step", _STEP, ratio=3.79, source=f"{_SOURCE}, NAdamW, a row of padding"),
        Reference("eval", _STEP, ratio=1.16, source=f"{_SOURCE}, without average precisions"),
        *(
            Reference(what, {"targets": [rows, 128]}, ratio, None, units, speed, _PIPELINE)
            for what in ("loader_train", "loader_eval")
            for rows, ratio, units, speed in _LOADERS
        ),
    )

    def train_batch(self, batch_size: int, generator: torch.Generator) -> Batch:
        rng = np.random.default_rng(int(torch.randint(2**31, (), generator=generator)))
        tables = self._tables(batch_size, rng, exact=True)
        arrays = (tables.nodes, tables.bonds, tables.node_codes, tables.bond_codes)
        molecules = Molecules(*arrays, tables.ends, tables.labels)
        return dict(molecules.batch(np.arange(batch_size), batch_size))

    def shape(self, batch: Batch) -> Shape:
        model = [self.model["num_steps"], self.model["latent_dim"], *self.model["hidden_dims"]]
        return {**super().shape(batch), "model": model}

    def loader_data(self, folder: Path) -> None:
        """Splits as the preparation stores them."""
        rng = np.random.default_rng(0)
        made = {
            split: [sample(self._tables(count, rng), np.arange(count))]
            for split, count in _MOLECULES.items()
        }
        self.write_prepared(folder, made)

    def _tables(self, count: int, rng: np.random.Generator, exact: bool = False) -> Tables:
        """Molecules of a mean size; `exact`: all together have just as many atoms and bonds as
        belong to the mean.
        """
        atoms, bonds = self.options["nodes_per_graph"], self.options["edges_per_graph"] // 2
        nodes = rng.normal(atoms, _SPREAD * atoms, count).round().astype(np.int64).clip(1)
        edges = (nodes + rng.integers(-1, 2, count) + bonds - atoms).clip(0)
        if exact:
            nodes, edges = _shifted(nodes, count * atoms), _shifted(edges, count * bonds)
        where = (rng.random((int(edges.sum()), 2)) * np.repeat(nodes, edges)[:, None]).astype("u2")
        codes = [
            (rng.random((int(sizes.sum()), len(many))) * many).astype(np.uint8)
            for sizes, many in zip((nodes, edges), _CODES)
        ]
        shape = (count, self.model["num_outputs"])
        active = (rng.random(shape) < _ACTIVE).astype(np.uint8)
        labels = np.where(rng.random(shape) < _LABELLED, active, np.uint8(MISSING))
        labels[:, 0] = active[:, 0]
        return Tables(nodes, edges, codes[0], codes[1], where, labels, {})


def _shifted(sizes: Indices, total: int) -> Indices:
    """Sizes with another sum; those that are large make up for it."""
    missing = total - int(sizes.sum())
    turns = np.arange(abs(missing)) % len(sizes)
    changed = np.argsort(-sizes, kind="stable")[turns]
    more: Indices = np.sign(missing) * np.bincount(changed, minlength=len(sizes))
    return sizes + more


BENCH = OgbgBench
