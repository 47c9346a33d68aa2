"""Raw files to shards: the same bytes always, resumable, verified, and clear about every flaw."""

import json

import numpy as np
import pytest
import webdataset as wds

from algoperf_pt.data.index import DataIndex
from algoperf_pt.data.prepare import find_preparer, main, prepare
from algoperf_pt.data.preparer import Preparer, RawFile, Unreadable
from algoperf_pt.data.reader import ShardReader
from algoperf_pt.data.shards import Sample
from algoperf_pt.errors import ConfigError, DataError


class Toy(Preparer):
    """40 texts of different lengths, and rows in blocks of 5."""

    name = "toy"
    splits = ("train", "test")
    samples_per_shard = 3
    raw_files = (RawFile("raw.txt"),)
    stop_after = None

    def estimate_bytes(self, raw):
        return 1000

    def expected_rows(self, split):
        return 40

    def samples(self, split, raw):
        for number in range(8):
            if self.stop_after == (split, number):
                raise KeyboardInterrupt
            rows = np.arange(number * 5, number * 5 + 5, dtype=np.int32)
            wide = np.stack([rows, -rows], 1)
            yield Sample(f"{number:04d}", {"row": wide.tobytes(), "id": rows.tobytes()}, 5)


@pytest.fixture
def raw(tmp_path):
    folder = tmp_path / "raw"
    folder.mkdir()
    (folder / "raw.txt").write_text("hello")
    return folder


@pytest.fixture
def toy(tmp_path, raw):
    out = tmp_path / "out"
    prepare(Toy(), raw, out, quiet=True)
    return out


def contents(folder):
    return {p.name: p.read_bytes() for p in sorted(folder.iterdir())}


def test_rows_come_back_in_any_order(toy):
    index = DataIndex.open(toy, "toy", 1)
    reader = ShardReader(index, "train")
    wanted = np.array([39, 0, 7, 7, 21, 38, 1, 2])
    for ext, width in (("row", 2), ("id", 1)):
        found = reader.read_rows(wanted, ext).copy().view(np.int32)
        assert found.shape == (8, width)
        assert np.array_equal(found[:, 0], wanted)
    assert np.array_equal(reader.all_rows("id").copy().view(np.int32).ravel(), np.arange(40))
    assert reader.read(np.array([12]))[0]["id"] == np.arange(10, 15, dtype=np.int32).tobytes()
    with pytest.raises(DataError, match="row 40 was asked for"):
        reader.read_rows(np.array([40]), "id")
    assert reader.read_rows(np.array([], dtype=np.int64), "id").shape[0] == 0


def test_webdataset_reads_the_shards(toy):
    urls = [str(path) for path in DataIndex.open(toy).shards("train")]
    assert len(urls) == 3
    samples = list(wds.WebDataset(urls, shardshuffle=False))
    assert [s["__key__"] for s in samples] == [f"{n:04d}" for n in range(8)]
    assert np.frombuffer(samples[2]["id"], np.int32).tolist() == [10, 11, 12, 13, 14]


def test_again_does_nothing_and_bytes_never_change(toy, raw, tmp_path):
    before = {p.name: (p.stat().st_mtime_ns, p.read_bytes()) for p in toy.iterdir()}
    prepare(Toy(), raw, toy, quiet=True)
    assert before == {p.name: (p.stat().st_mtime_ns, p.read_bytes()) for p in toy.iterdir()}
    prepare(Toy(), raw, tmp_path / "other", quiet=True)
    tars = {k: v for k, v in contents(tmp_path / "other").items() if k.endswith((".tar", ".json"))}
    assert tars.items() <= contents(toy).items()


@pytest.mark.parametrize("where", [("train", 0), ("train", 4), ("train", 6), ("test", 1)])
def test_interrupted_and_resumed(toy, raw, tmp_path, where):
    out = tmp_path / "broken"
    broken = Toy()
    broken.stop_after = where
    with pytest.raises(KeyboardInterrupt):
        prepare(broken, raw, out, quiet=True)
    assert not (out / "index.json").exists()
    with pytest.raises(DataError, match="does not exist"):
        DataIndex.open(out)
    prepare(Toy(), raw, out, quiet=True)
    tars = {k: v for k, v in contents(out).items() if not k.endswith(".npz")}
    assert tars == {k: v for k, v in contents(toy).items() if not k.endswith(".npz")}
    assert {p.name for p in out.iterdir()} == {p.name for p in toy.iterdir()}


def test_other_raw_files_or_versions_are_refused(toy, raw):
    (raw / "raw.txt").write_text("changed")
    with pytest.raises(DataError, match="prepared with other raw_files") as caught:
        prepare(Toy(), raw, toy, quiet=True)
    assert "--force" in caught.value.fix
    newer = Toy()
    newer.version = 2
    prepare(newer, raw, toy, force=True, quiet=True)
    with pytest.raises(DataError, match="preparer version 2"):
        DataIndex.open(toy, "toy", 1)


def test_raw_files_are_read_once_until_they_change(toy, raw, monkeypatch):
    read = []
    taken = lambda path, kinds: read.append(path) or dict.fromkeys(kinds, "x")  # noqa: E731
    monkeypatch.setattr("algoperf_pt.data.raw_sums.digests", taken)
    prepare(Toy(), raw, toy, quiet=True)
    assert not read
    (raw / "raw.txt").write_text("hallo")  # as long, but later
    with pytest.raises(DataError, match="prepared with other raw_files"):
        prepare(Toy(), raw, toy, quiet=True)
    assert read == [raw / "raw.txt"]


def test_fewer_examples_than_expected_are_refused(raw, tmp_path):
    short = Toy()
    short.expected_rows = lambda split: 41
    with pytest.raises(DataError, match="hold 40 examples for the split 'train'"):
        prepare(short, raw, tmp_path / "out", quiet=True)
    assert not (tmp_path / "out" / "index.json").exists()


class Corrupt(Toy):
    """Toy, of whose texts two cannot be read."""

    bad = (2, 5)

    def samples(self, split, raw):
        for number, sample in enumerate(super().samples(split, raw)):
            unreadable = split == "train" and number in self.bad
            yield Unreadable(f"text_{number}", "it is cut short") if unreadable else sample

    def expected_rows(self, split):
        return 40 if split == "test" else 40 - 4 * len(self.bad)  # each holds 5 and counts as 1


def test_an_unreadable_sample_ends_the_preparation_and_is_named(raw, tmp_path):
    with pytest.raises(DataError, match="text_2 cannot be read: it is cut short") as caught:
        prepare(Corrupt(), raw, tmp_path / "out", quiet=True)
    assert "--max-corrupt N" in caught.value.fix
    some = Corrupt()
    some.max_corrupt = 1
    with pytest.raises(DataError, match="(?s)text_5 .*at most 1 .* number 2"):
        prepare(some, raw, tmp_path / "out", quiet=True)


@pytest.mark.parametrize("where", [None, ("train", 1), ("train", 4), ("train", 7), ("test", 1)])
def test_as_many_unreadable_samples_as_stated_are_left_out_and_listed(raw, tmp_path, where):
    out, some = tmp_path / "out", Corrupt()
    some.max_corrupt, some.stop_after = 2, where
    if where:
        with pytest.raises(KeyboardInterrupt):
            prepare(some, raw, out, quiet=True)
        some.stop_after = None
    index = prepare(some, raw, out, quiet=True)
    listed = [{"name": f"text_{n}", "reason": "it is cut short"} for n in Corrupt.bad]
    assert index.left_out("train") == listed and index.left_out("test") == []
    assert index.rows("train") == 30 and index.rows("test") == 40
    rows = ShardReader(index, "train").read_rows(np.arange(30), "id").view(np.int32).ravel()
    assert rows.tolist() == [r for n in (0, 1, 3, 4, 6, 7) for r in range(5 * n, 5 * n + 5)]


@pytest.mark.parametrize(
    "lost, expected, right",
    [(5, 40, True), (5, 41, False), (None, 40, True), (None, 99, True), (None, 34, False)],
)
def test_unreadable_samples_of_several_examples(raw, tmp_path, lost, expected, right):
    """35 of 40 are left; the number of the other five is known, or not."""

    class Blocks(Toy):
        max_corrupt = 1

        def samples(self, split, raw):
            for number, sample in enumerate(super().samples(split, raw)):
                unreadable = split == "train" and number == 3
                yield Unreadable("block_3", "it is cut short", lost) if unreadable else sample

        def expected_rows(self, split):
            return 40 if split == "test" else expected

    if right:
        index = prepare(Blocks(), raw, tmp_path / "out", quiet=True)
        assert index.rows("train") == 35
        (line,) = index.left_out("train")
        assert line == {"name": "block_3", "reason": "it is cut short", "rows": lost}
    else:
        with pytest.raises(DataError, match="hold 35 examples for the split 'train'"):
            prepare(Blocks(), raw, tmp_path / "out", quiet=True)


def test_missing_and_wrong_raw_files(tmp_path):
    with pytest.raises(DataError, match="does not exist"):
        prepare(Toy(), tmp_path / "nowhere", tmp_path / "out", quiet=True)
    with pytest.raises(DataError, match="raw files are missing.*raw.txt"):
        prepare(Toy(), tmp_path, tmp_path / "out", quiet=True)
    (tmp_path / "raw.txt").write_text("hello")
    sized = Toy()
    sized.raw_files = (RawFile("raw.txt", bytes=7),)
    with pytest.raises(DataError, match="has 5 bytes"):
        prepare(sized, tmp_path, tmp_path / "out", quiet=True)
    summed = Toy()
    summed.raw_files = (RawFile("raw.txt", sha256="0" * 64),)
    with pytest.raises(DataError, match="raw.txt has the SHA-256"):
        prepare(summed, tmp_path, tmp_path / "out", quiet=True)
    other = Toy()
    other.raw_files = (RawFile("raw.txt", md5="0" * 32),)
    with pytest.raises(DataError, match="raw.txt has the MD5 5d41402abc4b2a76b9719d911017c592"):
        prepare(other, tmp_path, tmp_path / "out", quiet=True)


def test_no_room_on_the_disk(raw, tmp_path):
    huge = Toy()
    huge.estimate_bytes = lambda raw: 10**18
    with pytest.raises(DataError, match="free"):
        prepare(huge, raw, tmp_path / "out", quiet=True)


def damage(path, how):
    content = bytearray(path.read_bytes())
    if how == "cut":
        path.write_bytes(content[:-100])
    elif how == "gone":
        path.unlink()
    else:
        content[515] ^= 1  # in the data of the first part
        path.write_bytes(content)


@pytest.mark.parametrize("how, message", [("cut", "bytes"), ("gone", "is missing")])
def test_damaged_shards_are_found_at_the_start(toy, how, message):
    damage(toy / "train-000001.tar", how)
    with pytest.raises(DataError, match=f"train-000001.tar.*{message}"):
        DataIndex.open(toy)


def test_a_flipped_bit_is_found_by_verify_and_by_reading(toy):
    damage(toy / "train-000001.tar", "flip")
    index = DataIndex.open(toy)
    problems = index.verify()
    assert len(problems) == 1 and problems[0].startswith("train-000001.tar: SHA-256")
    with pytest.raises(DataError, match="train-000001.tar: part .* is corrupt"):
        reader = ShardReader(index, "train")
        reader.all_rows("id"), reader.all_rows("row")


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda c: {**c, "format": 99}, "format 99"),
        (lambda c: {**c, "dataset": "other"}, "dataset 'other'"),
        (lambda c: [1], "no JSON object"),
    ],
)
def test_a_foreign_index(toy, change, message):
    path = toy / "index.json"
    path.write_text(json.dumps(change(json.loads(path.read_text()))))
    with pytest.raises(DataError, match=message):
        DataIndex.open(toy, "toy", 1)
    path.write_text("{")
    with pytest.raises(DataError, match="cannot be read"):
        DataIndex.open(toy)


def test_samples_that_do_not_fit(raw, tmp_path):
    odd = Toy()
    odd.samples = lambda split, raw: iter([Sample("0", {"a": b"xyz"}, rows=2)])
    with pytest.raises(DataError, match="3 bytes for 2 rows"):
        prepare(odd, raw, tmp_path / "out", quiet=True)


def test_the_command(tmp_path, capsys):
    out = str(tmp_path / "digits")
    main(["digits", "--out", out, "--verify"])
    shown = capsys.readouterr().out
    assert "needed" in shown and "train: 1297" in shown and "verified" in shown
    main(["digits", "--out", out])
    assert "already prepared, nothing to do" in capsys.readouterr().out
    damage(tmp_path / "digits" / "test-000000.tar", "flip")
    with pytest.raises(SystemExit) as stopped:
        main(["digits", "--out", out, "--verify"])
    assert stopped.value.code == 2
    assert "test-000000.tar" in capsys.readouterr().err
    assert find_preparer("cifar").name == "cifar"
    with pytest.raises(ConfigError, match="no workload or dataset 'nonsense'"):
        find_preparer("nonsense")
    with pytest.raises(SystemExit):
        main(["mnist", "--out", out])
    assert "where are the raw files of mnist?" in capsys.readouterr().err


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


def test_neighbouring_rows_are_read_at_once(toy, monkeypatch):
    reader = ShardReader(DataIndex.open(toy), "train")
    calls = []
    read = ShardReader._pread
    monkeypatch.setattr(ShardReader, "_pread", lambda *a: calls.append(a[1:]) or read(*a))
    wanted = np.arange(1, 40, 3)  # every third row, as one of three ranks takes them
    found = reader.read_rows(wanted, "id").copy().view(np.int32).ravel()
    assert np.array_equal(found, wanted) and len(calls) == 8  # one a member


def test_a_preparer_without_samples_says_what_to_define(tmp_path, raw):
    class Empty(Preparer):
        name = "empty"
        raw_files = (RawFile("raw.txt"),)

        def estimate_bytes(self, raw):
            return 0

    with pytest.raises(NotImplementedError, match="Empty must define samples, or units"):
        prepare(Empty(), raw, tmp_path / "out", quiet=True)
