"""ImageNet's raw files: every byte kept, classes by their ids, and a name for every flaw."""

import errno
import io

import numpy as np
import pytest
import webdataset as wds
from PIL import Image

from algoperf_pt.data.prepare import main, prepare
from algoperf_pt.data.reader import ShardReader
from algoperf_pt.errors import DataError
from workloads.imagenet.devkit import NAME as DEVKIT
from workloads.imagenet.devkit import TRUTH, Devkit
from workloads.imagenet.prepare import TEST, TRAIN, VALIDATION, ImagenetPreparer
from workloads.imagenet.tiny import ROWS, WNIDS, packed, tar_of, write_devkit, write_raw

THREE = ("n30000000", "n10000000", "n20000000")  # by their numbers in the kit, not sorted
SMALL = {"train": 9, "validation": 6, "test": 6}
LABELS = np.array([2, 0, 1, 1, 0, 2])
TOP = "imagenetv2-matched-frequency-format-val"


def jpeg(seed, mode="RGB", kind="JPEG"):
    pixels = np.random.default_rng(seed).integers(0, 256, (40, 50, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(file, kind)
    return file.getvalue()


def contents():
    """What lies in the three archives of pictures: name -> bytes."""
    train = {
        wnid: {f"{wnid}_{k}.JPEG": jpeg(100 * c + k) for k in (10, 9, 2)}
        for c, wnid in enumerate(THREE)
    }
    validation = {f"ILSVRC2012_val_{i:08d}.JPEG": jpeg(1000 + i) for i in range(6, 0, -1)}
    test = {f"{TOP}/{c}/{h}.jpeg": jpeg(2000 + 10 * c + h) for c in (2, 0, 1) for h in (7, 3)}
    return train, validation, test


def write(folder, train, validation, test, labels=LABELS, wnids=THREE):
    folder.mkdir(parents=True, exist_ok=True)
    inner = {f"{wnid}.tar": tar_of(files) for wnid, files in train.items()}
    (folder / TRAIN).write_bytes(tar_of(inner))
    (folder / VALIDATION).write_bytes(tar_of(validation))
    (folder / TEST).write_bytes(packed(tar_of(test)))
    write_devkit(folder / DEVKIT, wnids, labels)
    return folder


def preparer(rows=SMALL, classes=3):
    return ImagenetPreparer("small", rows, classes)


def keys_and_labels(index, split):
    found = wds.WebDataset([str(p) for p in index.shards(split)], shardshuffle=False)
    return [(s["__key__"], int(np.frombuffer(s["cls"], "<i2")[0])) for s in found]


# ---- the road


def test_files_keep_their_bytes_names_and_classes(tmp_path):
    train, validation, test = contents()
    raw = write(tmp_path / "raw", train, validation, test)
    index = prepare(preparer(), raw, tmp_path / "out", quiet=True)
    ranked = sorted(THREE)
    wanted = [(f"{w}_{k}", ranked.index(w)) for w in ranked for k in (10, 2, 9)]  # by name
    assert keys_and_labels(index, "train") == wanted
    held = ShardReader(index, "train").read(np.arange(9))
    assert [s["jpg"] for s in held] == [train[k.split("_")[0]][f"{k}.JPEG"] for k, _ in wanted]
    wanted = [(f"ILSVRC2012_val_{i:08d}", y) for i, y in zip(range(1, 7), LABELS)]
    assert keys_and_labels(index, "validation") == wanted
    wanted = [(f"{c:03d}_{h}", c) for c in range(3) for h in (3, 7)]
    assert keys_and_labels(index, "test") == wanted


def test_test_folders_are_numbers_not_words(tmp_path):
    """A loader of folders sorts "10" before "2"."""
    wnids = tuple(f"n{10_000_000 + i}" for i in range(12))
    train = {wnid: {f"{wnid}_0.JPEG": jpeg(1)} for wnid in wnids}
    test = {f"{TOP}/{c}/x.jpeg": jpeg(c) for c in range(12)}
    validation = {"ILSVRC2012_val_00000001.JPEG": jpeg(2)}
    raw = write(tmp_path / "raw", train, validation, test, np.array([11]), wnids)
    rows = {"train": 12, "validation": 1, "test": 12}
    index = prepare(preparer(rows, 12), raw, tmp_path / "out", quiet=True)
    held = ShardReader(index, "test").read(np.arange(12))
    assert [s["jpg"] for s in held] == [jpeg(c) for c in range(12)]
    assert [y for _, y in keys_and_labels(index, "test")] == list(range(12))
    assert len(index.shards("train")) == 2  # ten classes a unit


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiny")
    write_raw(folder / "raw", seed=1)
    index = prepare(ImagenetPreparer("tiny", ROWS, 10), folder / "raw", folder / "out", quiet=True)
    return folder / "raw", index


def test_drawn_pictures_have_every_kind_and_all_classes(tiny):
    raw, index = tiny
    assert {split: index.rows(split) for split in index.splits} == ROWS
    kinds = set()
    for split in ROWS:
        held = ShardReader(index, split).read(np.arange(ROWS[split]))
        labels = np.concatenate([np.frombuffer(s["cls"], "<i2") for s in held])
        assert (np.bincount(labels, minlength=10) == ROWS[split] // 10).all()
        for sample in held:
            image = Image.open(io.BytesIO(sample["jpg"]))
            kinds.add((image.format, image.mode))
    assert kinds == {("JPEG", "RGB"), ("JPEG", "L"), ("JPEG", "CMYK"), ("PNG", "RGB")}
    assert Devkit(raw / DEVKIT, 10).wnids == sorted(WNIDS) != list(WNIDS)


def test_drawn_files_are_the_same_for_the_same_seed(tiny, tmp_path):
    raw, _ = tiny
    write_raw(tmp_path / "same", seed=1)
    assert {p.name: p.read_bytes() for p in raw.iterdir()} == {
        p.name: p.read_bytes() for p in (tmp_path / "same").iterdir()
    }
    write_raw(tmp_path / "other", seed=2)
    assert (tmp_path / "other" / TRAIN).read_bytes() != (raw / TRAIN).read_bytes()


def test_an_interrupted_preparation_goes_on(tmp_path, monkeypatch):
    raw = write(tmp_path / "raw", *contents())
    whole = prepare(preparer(), raw, tmp_path / "whole", quiet=True)
    broken = preparer()
    monkeypatch.setattr(broken, "_validation", lambda: iter([interrupt()]))

    def interrupt():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare(broken, raw, tmp_path / "out", quiet=True)
    again = preparer()
    monkeypatch.setattr(again, "_train", lambda wnids: iter([interrupt()]))  # is not made again
    index = prepare(again, raw, tmp_path / "out", quiet=True)
    assert index.content["splits"] == whole.content["splits"]


# ---- flaws


def flawed(folder, train=None, validation=None, test=None, **more):
    """Raw files of which some members are changed; None takes one away."""
    parts = contents()
    for part, change in zip(parts, (train, validation, test)):
        for name, value in (change or {}).items():
            if value is None:
                del part[name]
            elif isinstance(value, dict):
                part[name] = part.get(name, {}) | value
            else:
                part[name] = value
    return write(folder, *parts, **more)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"train": {THREE[1]: None}}, rf"{TRAIN} has no inner tar file n10000000.tar \(1 missing"),
        ({"train": {"n40000000": {}}}, f"{TRAIN} has an unknown inner tar file n40000000.tar"),
        ({"test": {f"{TOP}/1/{h}.jpeg": None for h in (7, 3)}}, f"{TEST} has no folder 1 "),
        ({"test": {f"{TOP}/2/7.jpeg": None}}, f"{TEST} holds 5 pictures"),
        ({"validation": {"ILSVRC2012_val_00000004.JPEG": None}}, f"{VALIDATION} holds 5 pictures"),
        ({"labels": LABELS[:5]}, "ground_truth.txt has 5 lines"),
        ({"train": {THREE[0]: {"more.JPEG": jpeg(5)}}}, "hold 10 examples for the split 'train'"),
        ({"wnids": THREE[:2], "labels": LABELS % 2}, "meta.mat has 2 classes"),
    ],
)
def test_a_flaw_is_named(tmp_path, changes, message):
    raw = flawed(tmp_path / "raw", **changes)
    with pytest.raises(DataError, match=message):
        prepare(preparer(), raw, tmp_path / "out", quiet=True)
    assert not (tmp_path / "out" / "index.json").exists()


@pytest.mark.parametrize("name", [TRAIN, VALIDATION, TEST, DEVKIT])
@pytest.mark.parametrize("kept", [0.0, 0.3, 0.6])
def test_a_truncated_archive_is_named_before_anything_is_written(tmp_path, name, kept):
    raw = write(tmp_path / "raw", *contents())
    data = (raw / name).read_bytes()
    if name in (TRAIN, VALIDATION):
        data = data.rstrip(b"\0")  # the zeros at the end say nothing
    (raw / name).write_bytes(data[: int(len(data) * kept)])
    with pytest.raises(DataError, match=name):
        prepare(preparer(), raw, tmp_path / "out", quiet=True)
    assert not list((tmp_path / "out").glob("*.tar"))


def test_a_missing_kit_is_named(tmp_path):
    raw = write(tmp_path / "raw", *contents())
    (raw / DEVKIT).unlink()
    with pytest.raises(DataError, match=f"missing.*{DEVKIT}"):
        prepare(preparer(), raw, tmp_path / "out", quiet=True)
    (raw / DEVKIT).write_bytes(packed(tar_of({"data/readme.txt": b"hello"})))
    with pytest.raises(DataError, match="has no file meta.mat"):
        prepare(preparer(), raw, tmp_path / "out", quiet=True)
    (raw / DEVKIT).write_bytes(packed(tar_of({"meta.mat": b"x" * 300, "data/" + TRUTH: b"1"})))
    with pytest.raises(DataError, match="meta.mat cannot be read"):
        prepare(preparer(), raw, tmp_path / "out", quiet=True)


def test_a_number_that_is_no_class(tmp_path):
    write_devkit(tmp_path / DEVKIT, THREE, LABELS)
    kit = Devkit(tmp_path / DEVKIT, 3)
    kit._truth[4] = b"7"
    with pytest.raises(DataError, match="line 5 of .* is b'7'"):
        kit.validation_labels(6)


BAD = {
    "cut": jpeg(3)[:-400],
    "empty": b"",
    "text": b"<html>not found</html>" * 20,
    "headless": jpeg(3)[:100],
}


@pytest.mark.parametrize("kind", BAD)
def test_a_corrupt_picture_stops_or_is_counted_and_named(tmp_path, kind):
    bad = {"n10000000_9.JPEG": BAD[kind]}
    raw = flawed(tmp_path / "raw", train={THREE[1]: bad}, test={f"{TOP}/1/7.jpeg": BAD[kind]})
    name = f"{TRAIN}, n10000000.tar, n10000000_9.JPEG"
    with pytest.raises(DataError, match=f"{name} cannot be read") as caught:
        prepare(preparer(), raw, tmp_path / "out", quiet=True)
    assert "--max-corrupt N" in caught.value.fix
    some = preparer()
    some.max_corrupt = 1
    with pytest.raises(DataError, match=f"{TEST}, {TOP}/1/7.jpeg cannot be read.*\n.*number 2"):
        prepare(some, raw, tmp_path / "out", quiet=True)
    some = preparer()
    some.max_corrupt = 2
    index = prepare(some, raw, tmp_path / "out", quiet=True)
    assert [entry["name"] for entry in index.left_out("train")] == [name]
    assert index.rows("train") == 8 and index.rows("test") == 5
    reasons = {e["reason"] for split in ("train", "test") for e in index.left_out(split)}
    assert len(reasons) == 1 and " at 0x" not in reasons.pop()  # the same words each time


def test_grey_cmyk_and_png_are_no_flaws(tmp_path):
    kinds = [jpeg(1, "L"), jpeg(2, "CMYK"), jpeg(3, "RGB", "PNG")]
    odd = {f"n10000000_{k}.JPEG": data for k, data in zip((2, 9, 10), kinds)}
    raw = flawed(tmp_path / "raw", train={THREE[1]: odd})
    index = prepare(preparer(), raw, tmp_path / "out", quiet=True)
    held = ShardReader(index, "train").read(np.arange(3))
    assert {s["jpg"] for s in held} == set(kinds)


def test_no_space_left(tmp_path, monkeypatch):
    raw = write(tmp_path / "raw", *contents())
    out, written = tmp_path / "out", []
    write_one = wds.TarWriter.write

    def full(self, sample):
        written.append(sample["__key__"])
        if len(written) > 11:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write_one(self, sample)

    with monkeypatch.context() as patch:
        patch.setattr(wds.TarWriter, "write", full)
        with pytest.raises(DataError, match=f"no space is left in {out}") as caught:
            prepare(preparer(), raw, out, quiet=True)
    assert "1 finished shards" in caught.value.expected and "same command" in caught.value.fix
    assert not list(out.glob(".*.partial"))  # the unfinished shard gives its space back
    index = prepare(preparer(), raw, out, quiet=True)
    whole = prepare(preparer(), raw, tmp_path / "whole", quiet=True)
    assert index.content["splits"] == whole.content["splits"]


def test_the_command_leaves_out_as_many_as_stated(tmp_path, monkeypatch, capsys):
    raw = flawed(tmp_path / "raw", validation={"ILSVRC2012_val_00000003.JPEG": b"x" * 50})
    monkeypatch.setattr("algoperf_pt.data.prepare.find_preparer", lambda *_: preparer())
    command = ["imagenet_tiny", "--raw", str(raw), "--out", str(tmp_path / "out")]
    with pytest.raises(SystemExit):
        main(command)
    assert f"{VALIDATION}, ILSVRC2012_val_00000003.JPEG" in capsys.readouterr().err
    main([*command, "--max-corrupt", "1"])
    assert "left out of validation: ILSVRC2012_img_val.tar, ILSVRC2012_val_00000003.JPEG" in (
        capsys.readouterr().out
    )


def test_the_released_archives_are_known_by_their_checksums(tmp_path):
    raw = write(tmp_path / "raw", *contents())
    with pytest.raises(DataError, match=f"{TRAIN} has the MD5"):
        prepare(ImagenetPreparer(), raw, tmp_path / "out", quiet=True)
    assert not (tmp_path / "out" / "index.json").exists()
