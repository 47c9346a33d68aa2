"""Raw files to shards: the same bytes always, resumable, verified, and clear about every flaw."""

import json

import numpy as np
import pytest
import webdataset as wds

from algoperf_pt.data.index import DataIndex
from algoperf_pt.data.prepare import find_preparer, main, prepare
from algoperf_pt.data.preparer import Preparer, RawFile
from algoperf_pt.data.reader import ShardReader
from algoperf_pt.data.shards import Sample
from algoperf_pt.errors import ConfigError, DataError
from tests.support.toy import Toy, contents


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


@pytest.mark.parametrize("how", ["empty", "half", "bit"])
def test_a_damaged_table_of_places_is_named(toy, how):
    path = toy / "index.npz"
    content = bytearray(path.read_bytes())
    at = content.find(b"test/row/offset") + 200  # in an array
    content[at] ^= 1
    path.write_bytes({"empty": b"", "half": content[: len(content) // 2], "bit": content}[how])
    with pytest.raises(DataError, match="index.npz cannot be read") as caught:
        ShardReader(DataIndex.open(toy), "test")
    assert "--force" in caught.value.fix


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


def test_settings_of_the_yaml_can_be_given_on_the_command_line():
    preparer = find_preparer("fastmri_tiny", ["volumes_per_shard=7", "name=other"])
    assert (preparer.samples_per_shard, preparer.name) == (7, "other")
    assert find_preparer("fastmri_tiny").samples_per_shard == 5
    for wrong, message in (
        ("heigth=32", "KEY one of name, rows, height"),
        ("height", "KEY=VALUE"),
        ("height=tall", "int, as height=48"),
        ("_target_=os.remove", "no setting of this preparation"),
    ):
        with pytest.raises(ConfigError, match=message):
            find_preparer("fastmri_tiny", [wrong])


def test_settings_stand_anywhere_in_the_command(tmp_path, capsys):
    with pytest.raises(SystemExit):
        main(["mnist_tiny", "--out", str(tmp_path), "name=x", "--verify", "colour=red"])
    assert "'colour=red' is no setting" in capsys.readouterr().err


def test_a_folder_made_with_other_options_is_refused(raw, tmp_path):
    def with_options(options):
        preparer = Toy()
        preparer.options = options
        return preparer

    out = tmp_path / "out"
    prepare(with_options({"codec": "flac"}), raw, out, quiet=True)
    prepare(with_options({"codec": "flac"}), raw, out, quiet=True)
    for other in ({"codec": "int16"}, {}):
        with pytest.raises(DataError, match="prepared with other options"):
            prepare(with_options(other), raw, out, quiet=True)
    prepare(with_options({}), raw, tmp_path / "plain", quiet=True)
    assert "options" not in json.loads((tmp_path / "plain" / "index.json").read_text())
