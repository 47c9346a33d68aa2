"""ogbg-molpcba's archive to flat arrays of small integers.

https://ogb.stanford.edu/docs/graphprop (MIT licence).  Stored: one member a split, which is read
through a memory map: `nodes`, `bonds` (uint16 a molecule: numbers of atoms and bonds), `label`
(uint8 [128] a molecule: 0, 1, or 2 where it is missing), and behind one another for all molecules
`atom` (uint8 [9] an atom), `bond` (uint8 [3] a bond), `ends` (uint16 [2] a bond: the atoms that it
joins).
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from algoperf_pt.data.preparer import Preparer, RawFile
from algoperf_pt.data.reader import Indices, ranges
from algoperf_pt.data.shards import Sample
from algoperf_pt.errors import DataError
from workloads.ogbg.data import EDGE_CODES, NODE_CODES
from workloads.ogbg.raw import Tables, read_tables

_URL = "https://snap.stanford.edu/ogb/data/graphproppred/csv_mol_download/pcba.zip"
_ATOMS, _BONDS = 26.0, 28.1  # of a molecule on average, for the estimate of the disk space


class OgbgPreparer(Preparer):
    """Molecules in the order in which the split's file names them.

    Args:
        molecules: number of them in the archive.
        tasks: labels of a molecule.
        rows: number of molecules of each split.
        name: of the dataset.
    """

    raw_files = (RawFile("pcba.zip", url=_URL),)

    def __init__(
        self, molecules: int, tasks: int, rows: dict[str, int], name: str = "ogbg"
    ) -> None:
        self.name, self.molecules, self.tasks, self.rows = name, molecules, tasks, rows
        self._read: dict[Path, Tables] = {}

    def expected_rows(self, split: str) -> int:
        return self.rows[split]

    def members(self, split: str) -> int:
        return 1

    def estimate_bytes(self, raw: Path) -> int:
        atoms, bonds = NODE_CODES * _ATOMS, (EDGE_CODES + 4) * _BONDS
        return int(sum(self.rows.values()) * (atoms + bonds + 4 + self.tasks))

    def samples(self, split: str, raw: Path) -> Iterator[Sample]:
        tables = self._tables(raw)
        yield sample(tables, tables.splits[split])

    def _tables(self, raw: Path) -> Tables:
        """Read once for all splits."""
        path = raw / self.raw_files[0].name
        if path not in self._read:
            tables = read_tables(path, self.tasks)
            if len(tables.nodes) != self.molecules:
                raise DataError(
                    f"{path} holds {len(tables.nodes)} molecules",
                    expected=f"{self.molecules}",
                    fix="the archive is incomplete or of another release",
                )
            self._read[path] = tables
        return self._read[path]


def sample(tables: Tables, chosen: Indices) -> Sample:
    """A split of the chosen molecules, in this order."""
    nodes, bonds = tables.nodes[chosen], tables.bonds[chosen]
    atoms = ranges(tables.node_first[chosen], nodes)
    edges = ranges(tables.bond_first[chosen], bonds)
    parts = {
        "nodes": nodes.astype(np.uint16),
        "bonds": bonds.astype(np.uint16),
        "label": tables.labels[chosen],
        "atom": tables.node_codes[atoms],
        "bond": tables.bond_codes[edges],
        "ends": tables.ends[edges],
    }
    packed = {name: array.tobytes() for name, array in parts.items()}
    return Sample("molecules", packed, len(chosen), ragged=("atom", "bond", "ends"))
