"""Preparation by units, ragged parts, and files beside the shards."""

import numpy as np
import pytest

from algoperf_pt.data.index import DataIndex
from algoperf_pt.data.prepare import prepare
from algoperf_pt.data.preparer import Preparer, RawFile
from algoperf_pt.data.reader import ShardReader
from algoperf_pt.data.shards import Sample
from algoperf_pt.errors import DataError
from tests.support.toy import contents


class Ragged(Preparer):
    """Texts of different lengths in blocks, made day by day, with a vocabulary beside them."""

    name = "ragged"
    splits = ("train",)
    samples_per_shard = 2
    raw_files = (RawFile("raw.txt"),)
    assets = ("vocabulary.txt",)
    stop_in = None

    def __init__(self):
        self.made = []

    def estimate_bytes(self, raw):
        return 1000

    def begin(self, raw, out, scratch):
        assert scratch.is_dir()
        (out / "vocabulary.txt").write_text((raw / "raw.txt").read_text())

    def units(self, split, raw):
        return ("day_0", "day_1", "day_2")

    def unit_samples(self, split, raw, unit):
        self.made.append(unit)
        for number in range(3):
            if self.stop_in == (unit, number):
                raise KeyboardInterrupt
            texts = [np.arange(n, dtype=np.uint16) + 100 * number for n in (3, 0, 1, 7)]
            lengths = np.array([len(t) for t in texts], np.uint16)
            parts = {"length": lengths.tobytes(), "token": np.concatenate(texts).tobytes()}
            yield Sample(f"{unit}_{number}", parts, 4, ragged=("token",))


def test_a_part_of_different_widths_is_read_by_stretches(tmp_path, raw):
    out = tmp_path / "out"
    reader = ShardReader(prepare(Ragged(), raw, out, quiet=True), "train")
    assert len(reader) == 36
    lengths = reader.all_rows("length").copy().view(np.uint16).ravel().astype(np.int64)
    starts = np.cumsum(lengths) - lengths
    for wanted in ([0], [35, 3, 4, 1, 13], list(range(36)), [1], []):
        wanted = np.array(wanted, dtype=np.int64)
        found = reader.read_spans("token", starts[wanted], lengths[wanted], np.uint16)
        expected = [np.arange(lengths[i]) + 100 * (i // 4 % 3) for i in wanted]
        assert np.array_equal(found, np.concatenate([[], *expected]))


def test_only_the_unfinished_unit_is_made_again(tmp_path, raw):
    out, whole = tmp_path / "out", tmp_path / "whole"
    prepare(Ragged(), raw, whole, quiet=True)
    first = Ragged()
    first.stop_in = ("day_1", 2)
    with pytest.raises(KeyboardInterrupt):
        prepare(first, raw, out, quiet=True)
    again = Ragged()
    prepare(again, raw, out, quiet=True)
    assert again.made == ["day_1", "day_2"]
    assert contents(out) == contents(whole)


def test_files_beside_the_shards_are_watched(tmp_path, raw):
    out = tmp_path / "out"
    index = prepare(Ragged(), raw, out, quiet=True)
    assert index.asset("vocabulary.txt").read_text() == "hello" and not index.verify()
    with pytest.raises(DataError, match="knows no file 'other.txt'"):
        index.asset("other.txt")
    (out / "vocabulary.txt").write_text("hullo")
    assert index.verify()[0].startswith("vocabulary.txt: SHA-256")
    (out / "vocabulary.txt").unlink()
    with pytest.raises(DataError, match="file .*vocabulary.txt is missing"):
        DataIndex.open(out)
    prepare(Ragged(), raw, out, force=True, quiet=True)
    assert not (out / ".scratch").exists()
