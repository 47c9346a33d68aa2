"""pcba.zip in its real layout, drawn by us: molecules whose labels follow from what they are built
of, no download.

A molecule is a ring or two with branches, or a chain, or a single atom; atoms have the valences of
carbon, nitrogen, oxygen, fluorine and sulphur.  A task asks whether a molecule has at least so many
of something: bonds of a kind between atoms of two kinds, atoms of a kind in a ring or with some
number of neighbours.  Labels are missing at random, and some are wrong.
"""

import gzip
import io
import zipfile
from bisect import bisect
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np

from workloads.ogbg.raw import FOLDER, SPLITS

TASKS = 128
ROWS = {"train": 3200, "validation": 400, "test": 400}
_ELEMENTS = ((6, 4, 0.66), (7, 3, 0.14), (8, 2, 0.14), (9, 1, 0.03), (16, 2, 0.03))
_NUMBERS = np.array([number for number, _, _ in _ELEMENTS])  # atomic
_VALENCES = [valence for _, valence, _ in _ELEMENTS]
_UP_TO = list(accumulate(share for _, _, share in _ELEMENTS))
_ATOMS, _SPREAD, _MOST = 12.0, 4.0, 26  # of a molecule: mean, deviation, limit
_SINGLE = 0.01  # share of molecules of one atom
_AROMATIC = 3  # code of such a bond; 0 and 1 are single and double
_RATES = (0.05, 0.4)  # between which the share of positives of a task lies
_MISSING = (0.2, 0.7)  # and that of missing labels
_WRONG = 0.01  # share of wrong labels

Array = np.ndarray[Any, Any]


class Molecule:
    """Atoms (numbers in `_ELEMENTS`) and bonds that are added one after the other.

    Args:
        rng: draws it.
    """

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self.kinds: list[int] = []
        self.free: list[int] = []  # valences
        self.in_ring: list[bool] = []
        self.bonds: list[tuple[int, int, int]] = []  # atom, atom, code
        size = 1 if rng.random() < _SINGLE else int(np.clip(rng.normal(_ATOMS, _SPREAD), 2, _MOST))
        while len(self.kinds) + 6 <= size and rng.random() < 0.6:
            self._ring(int(rng.integers(5, 7)))
        while len(self.kinds) < size and self._branch():
            pass

    def _atom(self, least: int, ring: bool) -> int:
        """A new atom with so many valences at least."""
        kind = bisect(_UP_TO, self._rng.random() * _UP_TO[-1])
        kind = kind if _VALENCES[kind] >= least else 0
        self.kinds.append(kind)
        self.free.append(_VALENCES[kind])
        self.in_ring.append(ring)
        return len(self.kinds) - 1

    def _join(self, a: int, b: int, code: int, used: int = 1) -> None:
        self.bonds.append((a, b, code))
        for atom in (a, b):
            self.free[atom] -= used

    def _ring(self, size: int) -> None:
        old = self._open()
        aromatic = bool(self._rng.random() < 0.5)
        atoms = [self._atom(3 if aromatic or i == 0 else 2, True) for i in range(size)]
        for a, b in zip(atoms, atoms[1:] + atoms[:1]):
            self._join(a, b, _AROMATIC if aromatic else 0)
        if old is not None:
            self._join(old, atoms[0], 0)

    def _branch(self) -> bool:
        """One more atom at one that has a valence left; False if there is none."""
        old = self._open()
        if old is None and self.kinds:
            return False
        new = self._atom(1, False)
        if old is not None:
            double = min(self.free[old], self.free[new]) > 1 and self._rng.random() < 0.2
            self._join(old, new, int(double), 1 + int(double))
        return True

    def _open(self) -> int | None:
        """An atom with a valence left."""
        atoms = [atom for atom, free in enumerate(self.free) if free > 0]
        return atoms[int(self._rng.integers(len(atoms)))] if atoms else None

    def codes(self) -> tuple[Array, Array]:
        """Codes of atoms [N, 9] and bonds [M, 3], as the files have them."""
        ends = np.array([bond[:2] for bond in self.bonds], np.int64).reshape(-1, 2)
        bond = np.array([bond[2] for bond in self.bonds], np.int64)
        degree = np.bincount(ends.ravel(), minlength=len(self.kinds))
        aromatic = np.zeros(len(self.kinds), np.int64)
        aromatic[ends[bond == _AROMATIC].ravel()] = 1
        atoms = np.zeros((len(self.kinds), 9), np.int64)
        atoms[:, 0] = _NUMBERS[self.kinds] - 1
        atoms[:, 2], atoms[:, 3] = degree, 5  # no charge
        atoms[:, 4] = np.maximum(self.free, 0)  # hydrogens
        atoms[:, 6] = np.where(aromatic, 1, 2)  # hybridisation
        atoms[:, 7], atoms[:, 8] = aromatic, self.in_ring
        bonds = np.stack([bond, 0 * bond, (bond == _AROMATIC).astype(np.int64)], 1)
        return atoms, bonds


def counted(molecules: list[Molecule]) -> Array:
    """int64 [M, features]: how often each molecule has each thing that a task may ask for."""
    kinds = len(_ELEMENTS)
    bonds = np.zeros((len(molecules), 4 * kinds * kinds), np.int64)
    atoms = np.zeros((len(molecules), 7 * kinds), np.int64)
    for row, molecule in enumerate(molecules):
        kind = molecule.kinds
        degree = [0] * len(kind)
        for a, b, code in molecule.bonds:
            low, high = sorted((kind[a], kind[b]))
            bonds[row, (code * kinds + low) * kinds + high] += 1
            degree[a] += 1
            degree[b] += 1
        for atom, number in enumerate(kind):
            atoms[row, 7 * number + min(degree[atom], 4)] += 1
            atoms[row, 7 * number + 5 + molecule.in_ring[atom]] += 1
    return np.concatenate([bonds, atoms], 1)


def labelled(features: Array, rng: np.random.Generator) -> Array:
    """float64 [M, T]: 0, 1 or nan; a molecule has one label at least.

    Args:
        features: as of `counted`.
        rng: draws thresholds, mistakes, and what is missing.
    """
    asked = np.concatenate([features >= least for least in range(1, 8)], 1)
    rates = asked.mean(0)
    possible = np.flatnonzero((rates > _RATES[0]) & (rates < _RATES[1]))
    chosen = rng.choice(possible, TASKS, replace=len(possible) < TASKS)
    truth = asked[:, chosen] ^ (rng.random((len(features), TASKS)) < _WRONG)
    missing = rng.random(truth.shape) < rng.uniform(*_MISSING, TASKS)
    missing[missing.all(1), 0] = False
    return np.where(missing, np.nan, truth)


def write_raw(folder: Path, seed: int = 0) -> None:
    """Write pcba.zip into `folder`; the same bytes for the same seed."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    molecules = [Molecule(rng) for _ in range(sum(ROWS.values()))]
    labels = labelled(counted(molecules), rng)
    write_zip(folder / "pcba.zip", tables(molecules, labels, rng))


def tables(
    molecules: list[Molecule], labels: Array, rng: np.random.Generator
) -> dict[str, list[Any]]:
    """Name of each file -> its rows."""
    atoms, bonds = zip(*(molecule.codes() for molecule in molecules))
    order = rng.permutation(len(molecules))
    cuts = np.cumsum(list(ROWS.values()))[:-1]
    splits = dict(zip(SPLITS.values(), np.split(order, cuts)))
    return {
        "raw/num-node-list": [[len(codes)] for codes in atoms],
        "raw/num-edge-list": [[len(codes)] for codes in bonds],
        "raw/node-feat": np.concatenate(atoms).tolist(),
        "raw/edge-feat": np.concatenate(bonds).tolist(),
        "raw/edge": [bond[:2] for molecule in molecules for bond in molecule.bonds],
        "raw/graph-label": [["" if x != x else int(x) for x in row] for row in labels.tolist()],
        **{f"split/scaffold/{name}": rows[:, None].tolist() for name, rows in splits.items()},
    }


def write_zip(path: Path, files: dict[str, list[Any]]) -> None:
    """An archive of tables; rows that are text are written as they are."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, rows in files.items():
            lines = (r if isinstance(r, str) else ",".join(map(str, r)) for r in rows)
            text = "".join(f"{line}\n" for line in lines).encode()
            packed = io.BytesIO()
            with gzip.GzipFile("", "wb", 1, packed, mtime=0) as file:  # 1: fast, not small
                file.write(text)
            entry = zipfile.ZipInfo(f"{FOLDER}/{name}.csv.gz")
            archive.writestr(entry, packed.getvalue())
