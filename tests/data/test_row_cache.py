"""Rows that are computed once: whole or absent, whoever writes them, and never a reason to stop."""

import errno
import os
import pickle
import warnings
from multiprocessing import get_context

import numpy as np
import pytest

from algoperf_pt.data import row_cache
from algoperf_pt.data.prepare import prepare
from algoperf_pt.data.row_cache import FOLDER, RowCache
from tests.support.toy import Toy

SHAPE = (3, 5)
COVERED = np.array([2, 3, 7, 40, 41])


def row(index):
    return np.arange(15, dtype=np.float32).reshape(SHAPE) + 100 * index


def cache(folder, identity={"a": 1}, rows=COVERED, **changes):
    fixed = {"label": "validation", "shape": SHAPE, "dtype": np.float32} | changes
    return RowCache(folder, identity=identity, rows=rows, **fixed)


def fill(found, indices=COVERED):
    for index in indices:
        found.store(int(index), row(index))


def load(found, indices):
    out = np.full((len(indices), *SHAPE), -1, np.float32)
    return found.load(np.array(indices), out).tolist(), out


def test_rows_come_back_and_absent_ones_are_named(tmp_path):
    first = cache(tmp_path)
    assert load(first, [40, 2])[0] == [0, 1]
    fill(first, [40, 3])
    for found in (first, cache(tmp_path), pickle.loads(pickle.dumps(first))):
        missing, out = load(found, [7, 3, 40, 2, 40])
        assert missing == [0, 3]
        for place, index in ((1, 3), (2, 40), (4, 40)):
            assert np.array_equal(out[place], row(index))
    assert load(first, [])[0] == []


def test_a_row_of_zeros_is_a_row(tmp_path):
    found = cache(tmp_path, dtype=np.uint8)
    for index in COVERED:
        found.store(int(index), np.zeros(SHAPE, np.uint8))
    out = np.ones((5, *SHAPE), np.uint8)
    assert found.load(COVERED, out).tolist() == [] and not out.any()


@pytest.mark.parametrize(
    "other",
    [
        {"identity": {"a": 2}},
        {"rows": COVERED + 1},
        {"shape": (5, 3)},
        {"dtype": np.int32},
        {"label": "test"},
    ],
)
def test_other_rows_have_another_file(tmp_path, other):
    one, two = cache(tmp_path), cache(tmp_path, **other)
    assert one.path != two.path and one.path.parent == tmp_path / FOLDER
    assert cache(tmp_path).path == one.path


@pytest.mark.parametrize("damage", ["flip", "cut", "table", "half"])
def test_a_damaged_row_is_made_again(tmp_path, damage):
    found = cache(tmp_path)
    fill(found)
    with found.path.open("r+b") as file:
        if damage == "flip":
            file.seek(4096 + 2 * 60 + 7)
            file.write(b"\xff")
        elif damage == "cut":
            file.truncate(4096 + 2 * 60 + 30)
        elif damage == "table":
            file.seek(2 * 4)
            file.write(b"abcd")
        else:  # a kill after the row's checksum had reached the disk, and half of its data
            file.seek(4096 + 2 * 60)
            file.write(bytes(30))
    again = pickle.loads(pickle.dumps(found))
    missing, _ = load(again, COVERED)
    assert missing == ([2, 3, 4] if damage == "cut" else [2])
    fill(again, COVERED[missing])
    missing, out = load(cache(tmp_path), COVERED)
    assert missing == [] and np.array_equal(out, np.stack([row(i) for i in COVERED]))


def test_a_kill_between_data_and_checksum_leaves_no_row(tmp_path, monkeypatch):
    found, write, calls = cache(tmp_path), os.pwrite, []

    def killed(*arguments):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return write(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(row_cache.os, "pwrite", killed)
        with pytest.raises(KeyboardInterrupt):
            found.store(7, row(7))
    assert load(cache(tmp_path), [7])[0] == [0]


def test_short_writes_are_gone_on_with(tmp_path, monkeypatch):
    write = os.pwrite
    monkeypatch.setattr(row_cache.os, "pwrite", lambda f, d, o: write(f, bytes(d)[:7], o))
    fill(cache(tmp_path))
    assert load(cache(tmp_path), COVERED)[0] == []


def _store(folder, number):
    found = cache(folder, rows=np.arange(50))
    for index in np.random.default_rng(number).permutation(50):
        found.store(int(index), row(index))


def test_several_processes_write_the_same_rows(tmp_path):
    context = get_context("fork")
    writers = [context.Process(target=_store, args=(tmp_path, n)) for n in range(3)]
    for writer in writers:
        writer.start()
    found = cache(tmp_path, rows=np.arange(50))
    while any(writer.is_alive() for writer in writers):
        missing, out = load(found, np.arange(50))
        for index in set(range(50)) - set(missing):
            assert np.array_equal(out[index], row(index))
    assert load(found, np.arange(50))[0] == []


def test_the_file_takes_the_space_of_the_rows_that_are_there(tmp_path):
    found = cache(tmp_path, rows=np.arange(10**5), shape=(1 << 11,))
    found.store(99_999, np.ones(1 << 11))
    assert found.path.stat().st_size > 8e8
    assert 8192 <= found.path.stat().st_blocks * 512 < 1e6


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EROFS])
def test_no_space_is_said_once_and_stops_nothing(tmp_path, monkeypatch, code):
    found = cache(tmp_path)

    def full(*_):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(row_cache.os, "pwrite", full)
    with pytest.warns(UserWarning, match=f"not kept in {tmp_path / FOLDER}") as caught:
        fill(found)
    assert len(caught) == 1 and os.strerror(code) in str(caught[0].message)
    assert load(found, COVERED)[0] == [0, 1, 2, 3, 4]


def test_too_little_space_is_found_before_the_work(tmp_path, monkeypatch):
    usage = row_cache.shutil.disk_usage(tmp_path)._replace(free=100)
    monkeypatch.setattr(row_cache.shutil, "disk_usage", lambda path: usage)
    with pytest.warns(UserWarning, match="GB are needed, 0.0 GB free"):
        found = cache(tmp_path, rows=np.arange(10**6))
    fill(found, [3])
    assert load(found, [3])[0] == [0]


def test_a_folder_that_may_not_be_written(tmp_path, monkeypatch):
    def refuse(*_):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(row_cache.os, "open", refuse)
    with pytest.warns(UserWarning, match="Permission denied"):
        found = cache(tmp_path)
    fill(found)
    assert load(found, COVERED)[0] == [0, 1, 2, 3, 4]


def test_other_errors_are_not_hidden(tmp_path, monkeypatch):
    def broken(*_):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    found = cache(tmp_path)
    monkeypatch.setattr(row_cache.os, "pwrite", broken)
    with pytest.raises(OSError, match="Input/output"):
        fill(found)


def test_force_takes_the_cache_away(tmp_path):
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "raw.txt").write_text("hello")
    out = tmp_path / "out"
    prepare(Toy(), tmp_path / "raw", out, quiet=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fill(cache(out))
    prepare(Toy(), tmp_path / "raw", out, quiet=True)
    assert (out / FOLDER).is_dir()
    prepare(Toy(), tmp_path / "raw", out, force=True, quiet=True)
    assert not (out / FOLDER).exists()
