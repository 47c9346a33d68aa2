"""What is in pcba.zip, and does it belong together?  Tables of numbers without headers, the rows of
one molecule behind those of another.

Shapes: M molecules, T tasks.
"""

import gzip
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from algoperf_pt.data.reader import Indices
from algoperf_pt.errors import DataError
from algoperf_pt.optional import need
from workloads.ogbg.data import EDGE_CODES, MISSING, NODE_CODES, Array

FOLDER = "pcba"
SPLITS = {"train": "train", "validation": "valid", "test": "test"}
_MISSING = ["", "nan", "NaN"]
_BLOCK = 1 << 24  # bytes of text that become numbers at once
_AGAIN = "the file is corrupt or of another release: fetch it again"


@dataclass(frozen=True)
class Tables:
    """All molecules in the order of the files; `node_first` and `bond_first` say where the rows of
    each begin.
    """

    nodes: Indices  # int64 [M]
    bonds: Indices  # int64 [M]
    node_codes: Array  # uint8 [atoms, 9]
    bond_codes: Array  # uint8 [bonds, 3]
    ends: Array  # uint16 [bonds, 2], atoms within the molecule
    labels: Array  # uint8 [M, T]: 0, 1 or `MISSING`
    splits: dict[str, Indices]  # molecules of each, in the order of its file

    @property
    def node_first(self) -> Indices:
        """int64 [M]."""
        return np.cumsum(self.nodes) - self.nodes

    @property
    def bond_first(self) -> Indices:
        """int64 [M]."""
        return np.cumsum(self.bonds) - self.bonds


def read_tables(path: Path, tasks: int) -> Tables:
    """Everything of the archive that is needed, checked.

    Args:
        path: pcba.zip.
        tasks: T.

    Raises:
        DataError: the archive or a table is damaged, or tables contradict one another.
    """
    archive = _Archive(path)
    tables = Tables(
        nodes=archive.integers("raw/num-node-list", 1, "uint16")[:, 0].astype(np.int64),
        bonds=archive.integers("raw/num-edge-list", 1, "uint16")[:, 0].astype(np.int64),
        node_codes=archive.integers("raw/node-feat", NODE_CODES, "uint8"),
        bond_codes=archive.integers("raw/edge-feat", EDGE_CODES, "uint8"),
        ends=archive.integers("raw/edge", 2, "uint16"),
        labels=archive.labels("raw/graph-label", tasks),
        splits={
            split: archive.integers(f"split/scaffold/{name}", 1, "int64")[:, 0]
            for split, name in SPLITS.items()
        },
    )
    _check_counts(path, tables)
    _check_ends(path, tables)
    _check_splits(path, tables)
    return tables


class _Archive:
    """Tables of the zip file, by their names without folder and endings."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def integers(self, name: str, columns: int, kind: str) -> Array:
        """[rows, columns] of a numpy integer type."""
        dtype = np.dtype(kind)
        blocks = list(self._blocks(name, columns, kind, nothing=[]))
        return np.concatenate([np.zeros((0, columns), dtype), *blocks])

    def labels(self, name: str, tasks: int) -> Array:
        """uint8 [M, T]: 0, 1 or `MISSING`."""
        found, row = [np.zeros((0, tasks), np.uint8)], 0
        for block in self._blocks(name, tasks, "float32", nothing=_MISSING):
            missing = np.isnan(block)
            wrong = np.argwhere(~missing & (block != 0) & (block != 1))
            if len(wrong):
                molecule, task = wrong[0]
                raise DataError(
                    f"{self._called(name)}: molecule {row + molecule} has the label "
                    f"{block[molecule, task]:g} of task {task}",
                    expected="0, 1 or nothing",
                    fix=_AGAIN,
                )
            found.append(np.where(missing, MISSING, block).astype(np.uint8))
            row += len(block)
        return np.concatenate(found)

    def _blocks(self, name: str, columns: int, kind: str, nothing: list[str]) -> Iterator[Array]:
        """Stretches of a table, [rows, columns]."""
        arrow = need("pyarrow", "ogbg")
        member = f"{FOLDER}/{name}.csv.gz"
        flaws = (OSError, EOFError, ValueError, zlib.error, zipfile.BadZipFile)
        try:
            with zipfile.ZipFile(self.path) as archive, archive.open(member) as packed:
                with gzip.open(packed) as text:
                    yield from _parsed(text, columns, kind, nothing)
        except KeyError:
            raise DataError(
                f"{self.path} has no {member}", expected="the archive of ogbg-molpcba", fix=_AGAIN
            ) from None
        except (*flaws, arrow.ArrowException) as error:
            problem = str(error) or type(error).__name__
            expected = f"lines of {columns} {'labels' if nothing else f'numbers of type {kind}'}"
            raise DataError(
                f"{self._called(name)}: {problem}", expected=expected, fix=_AGAIN
            ) from error

    def _called(self, name: str) -> str:
        return f"{self.path}, {FOLDER}/{name}.csv.gz"


def _parsed(text: Any, columns: int, kind: str, nothing: list[str]) -> Iterator[Array]:
    """Lines of an open file as arrays."""
    csv = need("pyarrow.csv", "ogbg")
    names = [str(number) for number in range(columns)]
    options = {
        "read_options": csv.ReadOptions(column_names=names, block_size=_BLOCK),
        "convert_options": csv.ConvertOptions(
            column_types={name: kind for name in names}, null_values=nothing
        ),
    }
    first = text.peek(1)
    if not first:
        return  # a table without rows
    for batch in csv.open_csv(text, **options):
        yield np.stack([column.to_numpy(zero_copy_only=False) for column in batch.columns], 1)


def _check_counts(path: Path, tables: Tables) -> None:
    """Every molecule has atoms, and the rows of all tables are those of all molecules."""
    count = len(tables.nodes)
    expected = {
        "num-edge-list": (len(tables.bonds), count, "molecules in num-node-list"),
        "graph-label": (len(tables.labels), count, "molecules in num-node-list"),
        "node-feat": (len(tables.node_codes), tables.nodes.sum(), "the sum of num-node-list"),
        "edge-feat": (len(tables.bond_codes), tables.bonds.sum(), "the sum of num-edge-list"),
        "edge": (len(tables.ends), tables.bonds.sum(), "the sum of num-edge-list"),
    }
    for name, (found, wanted, what) in expected.items():
        if found != wanted:
            raise DataError(
                f"{path}: raw/{name}.csv.gz has {found} rows",
                expected=f"{wanted}, {what}",
                fix=_AGAIN,
            )
    if not tables.nodes.all():
        raise DataError(
            f"{path}: molecule {int(np.argmin(tables.nodes))} has no atoms",
            expected="at least one",
            where="raw/num-node-list.csv.gz",
            fix=_AGAIN,
        )


def _check_ends(path: Path, tables: Tables) -> None:
    """Bonds join atoms of their molecule."""
    limit = np.repeat(tables.nodes, tables.bonds)
    beyond = tables.ends.max(1, initial=0) >= limit
    if beyond.any():
        bond = int(np.argmax(beyond))
        molecule = int(np.searchsorted(np.cumsum(tables.bonds), bond, side="right"))
        raise DataError(
            f"{path}: a bond of molecule {molecule} joins its atoms {tables.ends[bond].tolist()}",
            expected=f"numbers from 0 to {limit[bond] - 1}",
            where=f"raw/edge.csv.gz, line {bond + 1}",
            fix=_AGAIN,
        )


def _check_splits(path: Path, tables: Tables) -> None:
    """Splits are made of molecules, each at most once."""
    count, seen = len(tables.nodes), np.zeros(len(tables.nodes), np.int64)
    for split, molecules in tables.splits.items():
        where = f"split/scaffold/{SPLITS[split]}.csv.gz"
        outside = (molecules < 0) | (molecules >= count)
        if outside.any():
            line = int(np.argmax(outside))
            raise DataError(
                f"{path}: the split {split!r} has the molecule {molecules[line]}",
                expected=f"numbers from 0 to {count - 1}",
                where=f"{where}, line {line + 1}",
                fix=_AGAIN,
            )
        seen += np.bincount(molecules, minlength=count)
        if (seen > 1).any():
            raise DataError(
                f"{path}: the molecule {int(np.argmax(seen))} stands in a split twice, or in two",
                expected="each molecule at most once in all splits",
                where=where,
                fix=_AGAIN,
            )
