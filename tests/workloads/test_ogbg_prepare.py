"""ogbg's road: the archive to shards, its flaws, and drawn molecules."""

import csv
import gzip
import io
import zipfile

import numpy as np
import pytest

from algoperf_pt.data.prepare import find_preparer, prepare
from algoperf_pt.errors import DataError
from workloads.ogbg.data import MISSING, Molecules
from workloads.ogbg.prepare import OgbgPreparer
from workloads.ogbg.tiny import ROWS, TASKS, write_raw, write_zip


def rows_of(archive, name, kind=int):
    """Rows of a table, by Python's own csv module."""
    with archive.open(f"pcba/{name}.csv.gz") as packed:
        text = io.TextIOWrapper(gzip.open(packed))
        return [[kind(field) for field in row] for row in csv.reader(text)]


def label(field):
    return float(field) if field else float("nan")


def read_raw(path):
    """Split -> its molecules, read one after the other."""
    with zipfile.ZipFile(path) as archive:
        nodes, bonds = (sum(rows_of(archive, f"raw/num-{n}-list"), []) for n in ("node", "edge"))
        tables = [iter(rows_of(archive, f"raw/{n}")) for n in ("node-feat", "edge-feat", "edge")]
        labels = rows_of(archive, "raw/graph-label", label)
        molecules = [
            {
                "atoms": [next(tables[0]) for _ in range(n)],
                "bonds": [next(tables[1]) for _ in range(m)],
                "ends": [next(tables[2]) for _ in range(m)],
                "labels": np.array(row),
            }
            for n, m, row in zip(nodes, bonds, labels, strict=True)
        ]
        assert all(next(table, None) is None for table in tables)
        names = {"train": "train", "validation": "valid", "test": "test"}
        chosen = {s: sum(rows_of(archive, f"split/scaffold/{n}"), []) for s, n in names.items()}
    return {split: [molecules[number] for number in rows] for split, rows in chosen.items()}


FILES = {  # a ring of three, a single atom, two atoms that nothing joins, a bond
    "raw/num-node-list": ["3", "1", "2", "2"],
    "raw/num-edge-list": ["3", "0", "0", "1"],
    "raw/node-feat": [",".join(str(row + c) for c in range(9)) for row in range(8)],
    "raw/edge-feat": ["0,0,1", "1,0,0", "3,5,1", "2,0,0"],
    "raw/edge": ["0,1", "1,2", "2,0", "1,0"],
    "raw/graph-label": ["0,1,", "nan,0,1", "1,1.0,", "0.0,,"],
    "split/scaffold/train": ["3", "0"],
    "split/scaffold/valid": ["1"],
    "split/scaffold/test": ["2"],
}


def made(folder, preparer=None, **changes):
    """A prepared folder of the small archive, some of whose files differ; "__" stands for "/"."""
    raw = folder / "raw"
    raw.mkdir()
    changed = {name.replace("__", "/").replace("_", "-"): rows for name, rows in changes.items()}
    assert set(changed) <= set(FILES)
    files = {n: rows for n, rows in (FILES | changed).items() if rows is not None}
    write_zip(raw / "pcba.zip", files)
    return prepare(preparer or small(), raw, folder / "out", quiet=True)


def small(molecules=4, tasks=3, **rows):
    return OgbgPreparer(molecules, tasks, {"train": 2, "validation": 1, "test": 1} | rows, "small")


# ---- the road


def test_splits_are_stored_in_the_order_of_their_files(tmp_path):
    index = made(tmp_path)
    train, valid, test = (Molecules.open(index, split) for split in index.splits)
    assert train.nodes.tolist() == [2, 3] and train.bonds.tolist() == [1, 3]
    assert train.labels.tolist() == [[0, MISSING, MISSING], [0, 1, MISSING]]
    batch = train.batch(np.array([0, 1]), 2)
    assert batch["inputs"][:, 0].tolist() == [6, 7, 0, 1, 2]
    assert batch["senders"].tolist() == [1, 0, 2, 3, 4, 3, 4, 2]
    assert batch["receivers"].tolist() == [0, 1, 3, 4, 2, 2, 3, 4]
    assert batch["edges"][:, 0].tolist() == [2, 2, 0, 1, 3, 0, 1, 3]
    assert (valid.nodes.tolist(), valid.labels.tolist()) == ([1], [[MISSING, 0, 1]])
    assert (test.nodes.tolist(), test.bonds.tolist()) == ([2], [0])
    assert test.labels.tolist() == [[1, 1, MISSING]]


def test_molecules_without_any_bond(tmp_path):
    nothing = {"raw__num_edge_list": ["0"] * 4, "raw__edge": [], "raw__edge_feat": []}
    index = made(tmp_path, **nothing)
    batch = Molecules.open(index, "train").batch(np.array([0, 1]), 3)
    assert batch["edges"].shape == (0, 3) and len(batch["senders"]) == 0
    assert batch["node_graph"].tolist() == [0, 0, 1, 1, 1]


def test_a_task_that_nobody_measured(tmp_path):
    index = made(tmp_path, raw__graph_label=["0,1,", "nan,0,nan", "1,1.0,", "0.0,,NaN"])
    assert (Molecules.open(index, "train").labels[:, 2] == MISSING).all()


def test_molecules_that_are_in_no_split(tmp_path):
    index = made(tmp_path, small(train=1), split__scaffold__train=["3"])
    assert [index.rows(split) for split in index.splits] == [1, 1, 1]


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"raw__num_node_list": ["3", "1", "2", "3"]}, "node-feat.csv.gz has 8 rows.*9, the sum"),
        ({"raw__num_edge_list": ["3", "0", "1", "1"]}, "edge-feat.csv.gz has 4 rows.*5, the sum"),
        ({"raw__num_edge_list": ["3", "0", "1"]}, "num-edge-list.csv.gz has 3 rows.*4, molecules"),
        ({"raw__edge": ["0,1", "1,2", "2,0"]}, "edge.csv.gz has 3 rows.*4, the sum"),
        ({"raw__graph_label": FILES["raw/graph-label"][:3]}, "graph-label.csv.gz has 3 rows"),
        ({"raw__num_node_list": ["3", "1", "0", "4"]}, "molecule 2 has no atoms"),
        (
            {"raw__edge": ["0,1", "1,2", "3,0", "1,0"]},
            r"a bond of molecule 0 joins its atoms \[3, 0\].*from 0 to 2.*line 3",
        ),
        (
            {"raw__edge": ["0,1", "1,2", "2,0", "2,0"]},
            r"a bond of molecule 3 joins its atoms \[2, 0\].*from 0 to 1.*line 4",
        ),
        ({"raw__edge": ["0,1", "1,-2", "2,0", "1,0"]}, "edge.csv.gz:.*'-2'"),
        ({"raw__edge_feat": ["0,0,1", "1,0,0", "3,256,1", "2,0,0"]}, "edge-feat.csv.gz:.*'256'"),
        ({"raw__edge_feat": ["0,0,1", "1,0,0", "3,1.5,1", "2,0,0"]}, "edge-feat.csv.gz:.*'1.5'"),
        ({"raw__edge_feat": ["0,0,1", "1,0,0", "3,,1", "2,0,0"]}, "edge-feat.csv.gz:.*''"),
        ({"raw__edge_feat": ["0,0,1", "1,0", "3,1,1", "2,0,0"]}, "Expected 3 columns, got 2"),
        (
            {"raw__graph_label": ["0,1,", "nan,0,2", "1,1,", "0,,"]},
            "molecule 1 has the label 2 of task 2.*0, 1 or nothing",
        ),
        ({"raw__graph_label": ["0,1,", "yes,0,1", "1,1,", "0,,"]}, "graph-label.csv.gz:.*'yes'"),
        ({"raw__graph_label": ["0,1", "0,1", "1,1", "0,"]}, "Expected 3 columns, got 2"),
        ({"split__scaffold__test": ["4"]}, "'test' has the molecule 4.*from 0 to 3.*line 1"),
        ({"split__scaffold__train": ["3", "-1"]}, "'train' has the molecule -1.*line 2"),
        ({"split__scaffold__train": ["3", "3"]}, "molecule 3 stands in a split twice"),
        ({"split__scaffold__test": ["0"]}, "molecule 0 stands in a split twice, or in two"),
        ({"raw__node_feat": None}, "pcba.zip has no pcba/raw/node-feat.csv.gz"),
        ({"split__scaffold__train": ["3"]}, "1 examples .* 'train'"),
    ],
)
def test_flaws_have_a_message(tmp_path, changes, message):
    with pytest.raises(DataError, match=f"(?s){message}"):
        made(tmp_path, **changes)
    assert not (tmp_path / "out" / "index.json").exists()


def test_another_number_of_molecules(tmp_path):
    with pytest.raises(DataError, match="pcba.zip holds 4 molecules(?s:.)*5"):
        made(tmp_path, small(molecules=5))


@pytest.mark.parametrize("cut", ["zip", "member", "changed"])
def test_a_damaged_archive_is_named(all_data, tmp_path, cut):
    source = all_data.prepared("ogbg_tiny") / "raw_ogbg_tiny" / "pcba.zip"
    path = tmp_path / "pcba.zip"
    data = bytearray(source.read_bytes())
    if cut == "zip":
        path.write_bytes(data[: len(data) // 2])
    elif cut == "changed":
        data[len(data) // 3] ^= 255
        path.write_bytes(data)
    else:
        with zipfile.ZipFile(source) as old, zipfile.ZipFile(path, "w") as new:
            for entry in old.infolist():
                content = old.read(entry)
                short = entry.filename.endswith("/edge-feat.csv.gz")
                new.writestr(entry, content[: len(content) // 2] if short else content)
    with pytest.raises(DataError, match="pcba.zip(?s:.)*corrupt or of another release"):
        prepare(find_preparer("ogbg_tiny"), tmp_path, tmp_path / "out", quiet=True)


def test_a_missing_archive(tmp_path):
    with pytest.raises(DataError, match="missing.*pcba.zip"):
        prepare(small(), tmp_path, tmp_path / "out", quiet=True)


def test_the_released_counts_stand_in_the_configuration(tmp_path):
    preparer = find_preparer("ogbg")
    assert preparer.molecules == sum(preparer.rows.values()) == 437_929
    assert preparer.tasks == 128 and preparer.raw_files[0].url.endswith("/pcba.zip")
    assert preparer.estimate_bytes(tmp_path) == pytest.approx(246e6, rel=0.02)


# ---- drawn molecules


def test_drawn_molecules_are_the_same_for_the_same_seed(tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        write_raw(tmp_path / name, seed)
    a, b, c = ((tmp_path / name / "pcba.zip").read_bytes() for name in "abc")
    assert a == b != c


def test_drawn_molecules_are_like_molecules(all_data):
    raw = read_raw(all_data.prepared("ogbg_tiny") / "raw_ogbg_tiny" / "pcba.zip")
    assert {split: len(rows) for split, rows in raw.items()} == ROWS
    molecules = sum(raw.values(), [])
    assert 10 < np.mean([len(molecule["atoms"]) for molecule in molecules]) < 13
    assert any(len(molecule["atoms"]) == 1 for molecule in molecules)
    valence = {5: 4, 6: 3, 7: 2, 8: 1, 15: 2}  # by the code of the element
    rings = 0
    for molecule in molecules[:500]:
        count = len(molecule["atoms"])
        degree = np.bincount(np.ravel(molecule["ends"]).astype(int), minlength=count)
        for atom, codes in enumerate(molecule["atoms"]):
            assert codes[2] == degree[atom] <= valence[codes[0]]
        assert all(a != b for a, b in molecule["ends"])
        joined = list(range(count))
        for a, b in molecule["ends"]:
            joined = [joined[a] if place == joined[b] else place for place in joined]
        assert len(set(joined)) == 1
        rings += len(molecule["ends"]) >= count
    assert 150 < rings < 450
    labels = np.array([molecule["labels"] for molecule in molecules])
    assert labels.shape[1] == TASKS and (~np.isnan(labels)).any(1).all()
    rates, missing = np.nanmean(labels, 0), np.isnan(labels).mean(0)
    assert 0.03 < rates.min() < rates.max() < 0.5 and 0.1 < missing.min() < missing.max() < 0.8
