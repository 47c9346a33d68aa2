"""MNIST's raw idx files and scikit-learn's digits: read whole, or refused with the file's name."""

import gzip
import shutil
import struct

import numpy as np
import pytest

from algoperf_pt.data.prepare import prepare
from algoperf_pt.data.reader import ShardReader
from algoperf_pt.errors import DataError
from workloads.digits.prepare import DigitsPreparer
from workloads.mnist.prepare import MnistPreparer, read_idx, read_pair
from workloads.mnist.tiny import write_raw

IMAGES, LABELS = "train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("raw")
    write_raw(folder, seed=1)
    return folder


@pytest.fixture
def raw(written, tmp_path):
    return shutil.copytree(written, tmp_path / "raw")


def idx(magic, shape, data):
    return struct.pack(f">I{len(shape)}I", magic, *shape) + data


def test_the_road_keeps_every_byte(raw, tmp_path):
    index = prepare(MnistPreparer("mnist_tiny", 500), raw, tmp_path / "out", quiet=True)
    assert [index.rows(split) for split in index.splits] == [2000, 500, 500]
    images, labels = read_pair(raw / IMAGES, raw / LABELS)
    reader = ShardReader(index, "validation")
    rows = np.array([0, 499, 17])
    assert np.array_equal(reader.read_rows(rows, "image").reshape(-1, 28, 28), images[2000:][rows])
    assert np.array_equal(reader.read_rows(rows, "label").ravel(), labels[2000:][rows])


def test_drawn_digits_are_the_same_for_the_same_seed(written, tmp_path):
    write_raw(tmp_path, seed=1)
    assert all((tmp_path / p.name).read_bytes() == p.read_bytes() for p in written.iterdir())
    write_raw(tmp_path, seed=2)
    assert (tmp_path / IMAGES).read_bytes() != (written / IMAGES).read_bytes()


def test_unpacked_files_are_accepted(raw, tmp_path):
    for path in list(raw.iterdir()):
        (raw / path.stem).write_bytes(gzip.decompress(path.read_bytes()))
        path.unlink()
    assert prepare(MnistPreparer("x", 500), raw, tmp_path / "out", quiet=True).rows("train") == 2000


def packed(data):
    """The same bytes whenever it is called: they are in the names of tests."""
    return gzip.compress(data, mtime=0)


@pytest.mark.parametrize(
    "content, message",
    [
        (packed(b"x" * 1000)[:-20], "cannot be unpacked"),
        (b"no gzip at all", "cannot be unpacked"),
        (packed(b"ab"), "has 2 bytes"),
        (packed(idx(0x999, (2,), b"ab")), "starts with 0x00000999"),
        (packed(idx(0x803, (2, 28, 28), b"ab")), "2 bytes of data for the shape"),
        (packed(idx(0x801, (2,), b"abc")), "3 bytes of data for the shape"),
    ],
)
def test_broken_files_are_named(tmp_path, content, message):
    path = tmp_path / "x.gz"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        read_idx(path)
    assert "x.gz" in str(caught.value)


def test_files_that_do_not_belong_together(raw):
    with pytest.raises(DataError, match="other kind"):
        read_pair(raw / LABELS, raw / IMAGES)
    with pytest.raises(DataError, match="2500 images.*500 labels"):
        read_pair(raw / IMAGES, raw / "t10k-labels-idx1-ubyte.gz")
    labels = gzip.compress(idx(0x801, (2500,), bytes([11]) * 2500))
    (raw / LABELS).write_bytes(labels)
    with pytest.raises(DataError, match="has a label 11"):
        read_pair(raw / IMAGES, raw / LABELS)


def test_a_missing_file_is_named(raw, tmp_path):
    (raw / LABELS).unlink()
    with pytest.raises(DataError, match=f"missing.*{LABELS}"):
        prepare(MnistPreparer(), raw, tmp_path / "out", quiet=True)


def test_digits_are_scikit_learns(tmp_path):
    from sklearn.datasets import load_digits

    preparer = DigitsPreparer()
    index = prepare(preparer, preparer.raw_folder(), tmp_path, quiet=True)
    images, labels = load_digits(return_X_y=True)
    readers = [ShardReader(index, split) for split in ("train", "validation", "test")]
    found = np.concatenate([np.hstack([r.all_rows("image"), r.all_rows("label")]) for r in readers])
    expected = np.hstack([images, labels[:, None]]).astype(np.uint8)
    assert found.shape == expected.shape == (1797, 65)
    order = np.lexsort(found.T), np.lexsort(expected.T)
    assert np.array_equal(found[order[0]], expected[order[1]])
    for reader in readers:  # the writers are mixed: every class is in every split
        assert np.bincount(reader.all_rows("label").ravel(), minlength=10).min() >= 15


@pytest.mark.parametrize(
    "text, message",
    [("1,2,3\n", "holds a table"), ("a,b\n", "cannot be read"), ("", "table")],
)
def test_damaged_digits(tmp_path, text, message):
    (tmp_path / "digits.csv.gz").write_bytes(gzip.compress(text.encode()))
    with pytest.raises(DataError, match=message):
        prepare(DigitsPreparer(), tmp_path, tmp_path / "out", quiet=True)
