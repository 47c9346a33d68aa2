"""The click logs' raw road: hashing, parsing, streaming, splits, and each flaw by its line."""

import gzip
import json
import struct

import numpy as np
import pytest

from algoperf_pt.data.index import DataIndex
from algoperf_pt.data.prepare import find_preparer, prepare
from algoperf_pt.data.reader import ShardReader
from algoperf_pt.errors import ConfigError, DataError
from tests.support.runs import ROOT
from tests.support.workloads import node
from workloads.criteo1tb import days
from workloads.criteo1tb.days import day_rows
from workloads.criteo1tb.fingerprint import of_string, of_words
from workloads.criteo1tb.parse import Where, parse_rows
from workloads.criteo1tb.prepare import DAYS, CriteoPreparer
from workloads.criteo1tb.tiny import write_raw

GOLDEN = ROOT / "tests" / "golden" / "criteo1tb"
BUCKETS = np.load(GOLDEN / "preprocess.npz")["vocab_sizes"].astype(np.uint64)
MASK = 2**64 - 1


def line(label="1", integers=(), categories=()):
    """Text of a line; fields that are not given are empty."""
    integers = [*integers, *[""] * (13 - len(integers))]
    categories = [*categories, *[""] * (26 - len(categories))]
    return "\t".join([str(label), *map(str, integers), *categories]) + "\n"


def parse(text, first=1):
    data = text if isinstance(text, bytes) else text.encode()
    return parse_rows(np.frombuffer(data, np.uint8), BUCKETS, Where("day_7.gz", first))


def by_hand(text):
    """The rows of some lines, field by field, with the arithmetic of the definition."""
    rows = []
    for fields in (line.split("\t") for line in text.splitlines()):
        integers = [0 if f in ("", "-1") else max(int(f), 0) for f in fields[1:14]]
        logs = np.log(np.array(integers, np.float32) + np.float32(1))
        texts = ["00000000" if f in ("", "-1") else f for f in fields[14:]]
        ids = [of_string(f"{t}{c}".encode()) % int(BUCKETS[c]) for c, t in enumerate(texts)]
        rows.append(np.concatenate([[float(fields[0] or 0)], logs, ids]).astype(np.float32))
    return np.array(rows)


def drawn(count, seed=0):
    """Random lines: every kind of field in every column."""
    rng = np.random.default_rng(seed)
    kinds = ["", "-1", "-2", "0", "7", "12345678", "123456789", "9007199254740993", "-123456789"]
    lines = []
    for _ in range(count):
        names = [f"{x:08x}" for x in rng.integers(0, 1 << 32, 26)]
        for place, text in zip(rng.integers(0, 26, 5), ("", "-1", "a", "abcdef", "longer00name")):
            names[place] = text
        lines.append(line(rng.integers(0, 2), rng.choice(kinds, 13), names))
    return "".join(lines)


def write_days(folder, lines=3, last=12, **other):
    """Small days; `other` replaces whole files by name (None: missing)."""
    folder.mkdir(parents=True, exist_ok=True)
    for day in range(DAYS):
        text = drawn(last if day == DAYS - 1 else lines, seed=day)
        (folder / f"day_{day}.gz").write_bytes(gzip.compress(text.encode()))
    for name, data in other.items():
        (folder / f"{name}.gz").unlink()
        if data is not None:
            (folder / f"{name}.gz").write_bytes(data)
    return folder


def preparer(rows=(69, 4, 8), **more):
    counts = dict(zip(("train", "validation", "test"), rows))
    return CriteoPreparer("x", counts, 2, 4, BUCKETS.tolist(), **more)


def packed(text):
    """The same bytes whenever it is called: they are in the names of tests."""
    return gzip.compress(text.encode() if isinstance(text, str) else text, mtime=0)


# ---- hashing and parsing


def test_fingerprints_of_every_length_against_golden_strings():
    given = np.load(GOLDEN / "preprocess.npz")
    strings = [str(s).encode() for s in given["hash_strings"]]
    for modulus in (39884406, 3, 2**62):
        key = "hash_mod_2e62" if modulus == 2**62 else f"hash_mod_{modulus}"
        assert [of_string(s) % modulus for s in strings] == given[key].tolist()
    assert {len(s) for s in strings} >= {0, 1, 3, 5, 9, 10, 16}
    with pytest.raises(ValueError, match="17 bytes"):
        of_string(b"x" * 17)


def test_fingerprints_of_whole_arrays_are_those_of_each_string():
    strings = [f"{x:08x}21".encode() for x in np.random.default_rng(0).integers(0, 1 << 32, 50)]
    first = np.array([struct.unpack("<Q", s[:8])[0] for s in strings], np.uint64)
    last = np.array([struct.unpack("<Q", s[-8:])[0] for s in strings], np.uint64)
    assert of_words(first, last, 10).tolist() == [of_string(s) for s in strings]


def test_many_lines_as_one_would_parse_them_one_by_one():
    text = drawn(500)
    found, wanted = parse(text), by_hand(text)
    assert found.dtype == np.float32 and found.shape == (500, 40)
    assert np.array_equal(found[:, 0], wanted[:, 0])
    assert np.abs(found[:, 1:14] - wanted[:, 1:14]).max() <= 2e-6
    assert np.array_equal(found[:, 14:], wanted[:, 14:])
    assert (found[:, 14:] >= 2**25).any()  # where float32 counts by fours


def test_what_counts_as_zero():
    rows = parse(line("", ["", "-1", "-2", "0", "1"], ["", "-1", "00000000"]) + line())
    assert rows[0, 0] == 0 and rows[0, 1:5].tolist() == [0, 0, 0, 0]
    assert rows[0, 5] == pytest.approx(np.log(2))
    nothing = parse(line("1", (), ["00000000"] * 26))
    assert np.array_equal(rows[0, 14:], nothing[0, 14:])
    assert np.array_equal(rows[1, 14:], nothing[0, 14:])


def test_large_integers():
    values = [99999999, 100000000, 2147483647, 4294967296, 9999999999999999]
    rows = parse(line("0", values))
    wanted = np.log(np.array(values, np.float32).astype(np.float64) + 1)
    assert rows[0, 1:6] == pytest.approx(wanted, abs=4e-6)


@pytest.mark.parametrize(
    "bad, message",
    [
        (line().replace("\t", "", 1), "39 columns: '1"),
        (line()[:-1] + "\t\n", "41 columns"),
        ("\n", "1 columns: ''"),
        (line("1", ["12a"]), "integer 1 is '12a'"),
        (line("1", [""] * 12 + ["1.5"]), "integer 13 is '1.5'"),
        (line("1", ["-"]), "integer 1 is '-'"),
        (line("1", ["1-2"]), "integer 1 is '1-2'"),
        (line("1", ["12345678901234567"]), "integer 1 is '12345678901234567'"),
        (line("1", ["x12345678"]), "integer 1 is 'x12345678'"),
        (line("yes"), "label is 'yes'"),
        (line("-1"), "label is '-1'"),
        (line("1", (), [""] * 25 + ["fifteenletters0"]), "category 26 is 'fifteenletters0'"),
        (line("1", (), ["caf\u00e9"]).encode(), "column 15 has the byte 0xc3"),
        (line("1", ["?"]).encode().replace(b"?", b"\xff\xfe"), "column 2 has the byte 0xff"),
        (line("1", ["\x00"]), "column 2 has the byte 0x00"),
        (line()[:-1] + "\r\n", "column 40 has the byte 0x0d"),
    ],
)
def test_a_flawed_line_is_named(bad, message):
    data = bad if isinstance(bad, bytes) else bad.encode()
    good = drawn(6).encode()
    with pytest.raises(DataError) as caught:
        parse(good + data + good + data, first=1001)
    assert f"day_7.gz, line 1007: {message}" in str(caught.value)


# ---- days


def test_a_day_in_pieces_is_the_day(tmp_path, monkeypatch):
    text = drawn(300)
    half = text.index("\n", len(text) // 2) + 5  # in the middle of a line
    several = packed(text[:half]) + packed(text[half:])  # a gzip file of two members
    (tmp_path / "day_1.gz").write_bytes(several)
    (tmp_path / "day_2").write_text(text[:-1])  # unpacked, the last newline missing
    monkeypatch.setattr(days, "_PACKED", 1000)
    monkeypatch.setattr(days, "_TEXT", 3000)
    for name in ("day_1.gz", "day_2"):
        pieces = list(day_rows(tmp_path / name, BUCKETS))
        assert len(pieces) > 10
        assert np.array_equal(np.concatenate(pieces), parse(text))
        for first, stop in ((0, 120), (120, None), (7, 9), (299, None), (300, None)):
            part = [*day_rows(tmp_path / name, BUCKETS, first, stop)]
            joined = np.concatenate(part) if part else np.empty((0, 40))
            assert np.array_equal(joined, parse(text)[first:stop])


@pytest.mark.parametrize(
    "data, message",
    [
        (packed(drawn(3000))[:-9], r"day_3.gz cannot be unpacked after line \d\d+: .*too early"),
        (packed(drawn(9))[:20], "day_3.gz cannot be unpacked after line 0"),
        (b"not packed at all", "day_3.gz cannot be unpacked after line 0"),
        (packed(drawn(30))[:-6] + b"abcdef", "day_3.gz cannot be unpacked"),  # its checksum
        (b"", "day_3.gz cannot be unpacked after line 0"),
        (packed(""), "day_3.gz holds no line"),
        (packed(drawn(3) + line().replace("\t", "", 1)), "day_3.gz, line 4: 39 columns"),
        (packed(drawn(2) + line("1", ["many"])), "day_3.gz, line 3: integer 1 is 'many'"),
        (packed(drawn(2).encode() + b"\xff\xfe\n"), "day_3.gz, line 3: column 1 has the byte 0xff"),
        (packed(drawn(1) + line("2")), "day_3.gz, line 2: label is 2"),
        (None, "raw files are missing in .*: day_3.gz"),
    ],
)
def test_a_flawed_day_is_named(tmp_path, data, message):
    raw = write_days(tmp_path / "raw", day_3=data)
    with pytest.raises(DataError, match=message) as caught:
        prepare(preparer(), raw, tmp_path / "out", quiet=True)
    assert "fix:" in str(caught.value)
    assert not (tmp_path / "out" / "index.json").exists()


# ---- preparation


def test_splits_are_cut_by_lines(tmp_path):
    raw = write_days(tmp_path / "raw")
    (raw / "day_5").write_bytes(gzip.decompress((raw / "day_5.gz").read_bytes()))
    (raw / "day_5.gz").unlink()  # a user may have unpacked it
    index = prepare(preparer(), raw, tmp_path / "out", quiet=True)
    train = np.concatenate([parse(drawn(3, seed=day)) for day in range(DAYS - 1)])
    last = parse(drawn(12, seed=DAYS - 1))
    for split, wanted in (("train", train), ("test", last[:8]), ("validation", last[8:])):
        stored = ShardReader(index, split).all_rows("row")
        assert stored.shape[1] == 160
        assert np.array_equal(stored.view("<f4"), wanted), split


@pytest.mark.parametrize(
    "rows, split, found",
    [((70, 4, 8), "train", 69), ((69, 5, 8), "validation", 4), ((69, 4, 9), "test", 8)],
)
def test_a_wrong_number_of_rows(tmp_path, rows, split, found):
    raw = write_days(tmp_path / "raw")
    with pytest.raises(DataError, match=f"hold {found} examples for the split '{split}'"):
        prepare(preparer(rows), raw, tmp_path / "out", quiet=True)


def test_an_interruption_costs_one_day(tmp_path, monkeypatch):
    raw = write_days(tmp_path / "raw")
    whole = prepare(preparer(), raw, tmp_path / "whole", quiet=True)
    real, read = day_rows, []

    def counted(path, *args, **kwargs):
        read.append(path.name)
        if path.name == "day_9.gz" and len(read) == 10:
            raise KeyboardInterrupt
        return real(path, *args, **kwargs)

    monkeypatch.setattr("workloads.criteo1tb.prepare.day_rows", counted)
    with pytest.raises(KeyboardInterrupt):
        prepare(preparer(), raw, tmp_path / "out", quiet=True)
    read.clear()
    index = prepare(preparer(), raw, tmp_path / "out", quiet=True)
    assert read == [f"day_{day}.gz" for day in (*range(9, DAYS), DAYS - 1)]
    assert index.fingerprint == whole.fingerprint


def test_blocks_hold_all_rows_in_order(tmp_path, monkeypatch):
    monkeypatch.setattr("workloads.criteo1tb.prepare._BLOCK", 7)
    raw = write_days(tmp_path / "raw", lines=20)
    index = prepare(preparer((460, 4, 8)), raw, tmp_path / "out", quiet=True)
    rows, _ = index.members("train")
    assert rows.tolist() == [7, 7, 6] * 23
    stored = ShardReader(index, "train").all_rows("row").view("<f4")
    wanted = np.concatenate([parse(drawn(20, seed=day)) for day in range(23)])
    assert np.array_equal(stored, wanted)


def test_shards_of_another_preparation(tmp_path):
    raw = write_days(tmp_path / "raw")
    prepare(preparer(), raw, tmp_path / "out", quiet=True)
    path = tmp_path / "out" / "index.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "preparer_version": 7}))
    with pytest.raises(DataError, match="preparer version 7"):
        DataIndex.open(tmp_path / "out", "x", CriteoPreparer.version)
    assert node("criteo1tb").data.preparer_version == CriteoPreparer.version


def test_a_damaged_shard_fails_its_checksum(tmp_path):
    raw = write_days(tmp_path / "raw")
    index = prepare(preparer(), raw, tmp_path / "out", quiet=True)
    assert index.verify() == []
    shard = index.shards("train")[4]
    data = bytearray(shard.read_bytes())
    data[600] ^= 1
    shard.write_bytes(data)
    (problem,) = index.verify()
    assert problem.startswith(f"{shard.name}: SHA-256")
    with pytest.raises(DataError, match=f"{shard.name}: part 'row' of member 4 .*is corrupt"):
        ShardReader(index, "train").all_rows("row")


def test_a_wrong_list_of_buckets():
    with pytest.raises(ConfigError, match="prepare.buckets"):
        CriteoPreparer("x", {}, 2, 4, [3, 4])


def test_the_full_preparation_by_its_configuration():
    found = find_preparer("criteo1tb")
    assert np.array_equal(found.buckets, BUCKETS)
    assert found.rows == {"train": 4195197692, "validation": 83274637, "test": 95000000}
    assert found.test_lines == found.expected_rows("test")
    assert dict(node("criteo1tb").prepare.rows) == {
        split: node("criteo1tb").num_examples[split] for split in found.splits
    }
    assert 699e9 < found.estimate_bytes(None) < 701e9
    for variant in ("layernorm", "embed_init", "resnet", "test"):
        assert find_preparer(f"criteo1tb_{variant}").name == "criteo1tb"


def test_drawn_days_are_the_same_for_the_same_seed(tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        write_raw(tmp_path / name, seed)
    first = [(tmp_path / name / "day_11.gz").read_bytes() for name in "abc"]
    assert first[0] == first[1] != first[2]
    assert len(list((tmp_path / "a").iterdir())) == DAYS
    text = gzip.decompress(first[0]).decode()
    integers = {f for row in text.splitlines() for f in row.split("\t")[1:14]}
    assert {"", "-1", "-2", "0"} <= integers
