"""Rows are read as they grow, and read again where the file was cut or written anew."""

import os

import pytest

from algoperf_pt.watch import rows as module
from algoperf_pt.watch.rows import MOST_BYTES, MOST_POINTS, RowsFile
from tests.support.watched import evaluated


def stamp(path):
    found = os.stat(path)
    return found.st_mtime_ns, found.st_size, found.st_ino


@pytest.fixture
def path(tmp_path):
    evaluated(tmp_path, [(1.0, 0.5), (2.0, 0.75)])
    return tmp_path / "eval_measurements.csv"


@pytest.fixture
def file(path):
    file = RowsFile(str(path), "accuracy", True)
    file.update(stamp(path))
    return file


def values(file):
    return list(file.rows.values("validation"))


def test_only_what_is_new_is_read(path, file, monkeypatch):
    taken, read = [], module.read_part

    def spy(*where):
        taken.append(read(*where))
        return taken[-1]

    monkeypatch.setattr(module, "read_part", spy)
    file.update(stamp(path))
    assert taken == []
    evaluated(path.parent, [(3.0, 0.7)])
    file.update(stamp(path))
    assert taken == [b"2.0,200,4.0,0.75\n", b"3.0,100,6.0,0.7\n"]
    assert values(file) == [(1.0, 0.5), (2.0, 0.75), (3.0, 0.7)]
    assert (file.rows.best.time, file.rows.count, file.rows.wall) == (2.0, 3, 6.0)


def test_half_a_row_counts_when_it_is_whole(path, file):
    with path.open("a") as half:
        half.write("3.0,300,6.0,0.9")
    file.update(stamp(path))
    assert file.rows.count == 2
    with path.open("a") as rest:
        rest.write("5\n")
    file.update(stamp(path))
    assert values(file)[-1] == (3.0, 0.95)


def test_a_resumed_trial_has_cut_the_file(path, file):
    """Back to the first row, and on with others: as long as before."""
    text = path.read_text()
    path.write_text(text.replace("2.0,200,4.0,0.75", "2.5,210,5.0,0.60"))
    file.update(stamp(path))
    assert values(file) == [(1.0, 0.5), (2.5, 0.6)]
    assert file.rows.best.validation == 0.6
    os.truncate(path, len(text.split("\n")[0]) + 1)
    file.update(stamp(path))
    assert file.rows.count == 0


def test_a_file_with_more_columns_takes_its_place(path, file):
    other = path.with_name("other")
    other.write_text("accumulated_submission_time,loss,validation/accuracy\n1.0,2,0.9\n")
    other.replace(path)
    file.update(stamp(path))
    assert values(file) == [(1.0, 0.9)]


def test_a_file_that_vanishes_has_no_rows(path, file):
    path.unlink()
    file.update(None)
    assert file.rows.count == 0


def test_numbers_that_are_none(tmp_path):
    path = tmp_path / "eval_measurements.csv"
    head = "accumulated_submission_time,validation/accuracy\n"
    odd = "nan,1\n-1,1\ninf,1\n1e300,1\nx,1\n\n1,nan\n2,inf\n3,\n4\n5,1e999\n6,0.5,7\n"
    path.write_text(head + odd + '"\x00,1\n')
    file = RowsFile(str(path), "accuracy", True)
    file.update(stamp(path))
    assert values(file) == [(6.0, 0.5)]
    assert "without a time" in file.rows.note


def test_a_giant_is_read_up_to_a_bound(tmp_path):
    path = tmp_path / "eval_measurements.csv"
    evaluated(tmp_path, [(1.0, 0.5)])
    os.truncate(path, 1 << 40)  # a hole
    file = RowsFile(str(path), "accuracy", True)
    file.update(stamp(path))
    assert values(file) == [(1.0, 0.5)]
    assert f"behind {MOST_BYTES >> 20} MiB" in file.rows.note


def test_a_long_curve_is_thinned_and_keeps_its_best_and_its_newest(tmp_path):
    pairs = [(float(i), 0.9 if i == 1235 else 0.1) for i in range(1, 3 * MOST_POINTS)]
    evaluated(tmp_path, pairs)
    path = tmp_path / "eval_measurements.csv"
    file = RowsFile(str(path), "accuracy", True)
    file.update(stamp(path))
    rows = file.rows
    assert rows.count == len(pairs) and len(rows.points) <= MOST_POINTS
    assert (rows.best.time, rows.points[0].time, rows.points[-1].time) == (1235.0, 1.0, len(pairs))
    times = [point.time for point in rows.points]
    assert times == sorted(times) and max(b - a for a, b in zip(times, times[1:])) <= 8
