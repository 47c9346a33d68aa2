"""fastMRI's road: archives and folders to shards, their flaws, and phantoms."""

import io
import lzma
import shutil
import tarfile

import numpy as np
import pytest

from algoperf_pt.data.prepare import find_preparer, prepare
from algoperf_pt.data.reader import ShardReader
from algoperf_pt.errors import DataError
from algoperf_pt.workload_data import EVAL_TRAIN_SEED
from tests.workloads.test_fastmri import by_definition, tiny
from workloads.fastmri.masks import MaskRule, uniform
from workloads.fastmri.prepare import ARCHIVES, FastmriPreparer
from workloads.fastmri.tiny import hdf5, write_raw
from workloads.fastmri.volumes import Sizes, read_volume

TRAIN, VAL = ARCHIVES.values()
SIZES = Sizes(16, 8, 8)
KEYS = ("kspace", "reconstruction_esc")


def contents(slices=2, rows=16, columns=10, height=8, width=8, seed=0):
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=(2, slices, rows, columns))
    kspace = (noise[0] + 1j * noise[1]).astype(np.complex64)
    return dict(zip(KEYS, (kspace, rng.random((slices, height, width), np.float32))))


def volume(attributes=None, **sizes):
    return hdf5(contents(**sizes), {"max": 0.5} if attributes is None else attributes)


def folders(raw, train=3, val=4, **flawed):
    """Unpacked folders of small volumes; `flawed`: name -> bytes in place of a volume."""
    for name, count in (("singlecoil_train", train), ("singlecoil_val", val)):
        (raw / name).mkdir(parents=True)
        for number in range(count):
            (raw / name / f"file{number}.h5").write_bytes(volume(seed=number))
    for name, data in flawed.items():
        (raw / "singlecoil_train" / f"{name}.h5").write_bytes(data)
    return raw


def small(**changes):
    options = {
        "rows": 16,
        "height": 8,
        "width": 8,
        "volumes": {"train": 3, "validation": 1, "test": 3},
        "slices": {"train": 6, "validation": 2, "test": 6},
        "volumes_per_shard": 2,
        "name": "small",
    }
    return FastmriPreparer(**{**options, **changes})


def made(preparer, raw, out):
    return prepare(preparer, raw, out, quiet=True)


def columns_of(index, split):
    return ShardReader(index, split).all_rows("kspace")


# ---- the whole road


def test_batches_are_what_the_definition_makes_of_the_raw_volumes(all_data, tmp_path):
    folder = all_data.prepared("fastmri_tiny")
    data = tiny(folder).data
    archives = folder / "raw_fastmri_tiny"
    for archive in (TRAIN, VAL):
        with tarfile.open(archives / archive) as tar:
            tar.extractall(tmp_path, filter="data")
    sizes, rule = Sizes(96, 48, 48), MaskRule(0.08, 4)
    first = {"train": 0, "validation": 0, "test": 4}
    rows = np.array([0, 7, 8, 13, 31])
    for split, skipped in first.items():
        place = "singlecoil_train" if split == "train" else "singlecoil_val"
        files = sorted((tmp_path / place).glob("*.h5"))[skipped:]
        batch = data.finish(data.build(split, rows, None))
        for i, row in enumerate(rows):
            raw = read_volume(files[row // 8], sizes)
            width = raw.kspace.shape[2]
            seed = [EVAL_TRAIN_SEED, row] if split == "train" else [0, 0]
            kept = rule.kept(np.array([width]), uniform(np.array([seed]), width))[0]
            image = by_definition(raw.kspace[row % 8], kept, 48, 48)
            mean, std = image.mean(), image.std()
            assert float(batch["mean"][i]) == pytest.approx(mean, rel=1e-6)
            assert float(batch["std"][i]) == pytest.approx(std, rel=1e-6)
            assert float(batch["volume_max"][i]) == np.float32(raw.maximum)
            for name, given in (("inputs", image), ("targets", raw.target[row % 8])):
                wanted = np.clip((given - mean) / std, -6, 6)
                assert np.allclose(batch[name][i].numpy(), wanted, atol=1e-5), (split, row, name)


def test_archives_and_folders_give_the_same_shards(tmp_path):
    raw = folders(tmp_path / "raw")
    renamed = tmp_path / "renamed"
    packed = tmp_path / "packed"
    packed.mkdir()
    for name, archive in ARCHIVES.items():
        shutil.copytree(raw / name, renamed / f"knee_{name}")
        (raw / name / "._file0.h5").write_bytes(b"a note of some operating system")
        with tarfile.open(packed / archive, "w:xz") as tar:
            tar.add(raw / name, name)
    first, second, third = (
        made(small(), place, tmp_path / f"out{i}") for i, place in enumerate((raw, renamed, packed))
    )
    for index in (second, third):
        assert index.content["splits"] == first.content["splits"]
    assert not (tmp_path / "out2" / ".scratch").exists()
    assert [len(first.shards(split)) for split in first.splits] == [2, 1, 2]


def test_validation_is_the_first_by_name_and_test_the_others(tmp_path):
    index = made(small(), folders(tmp_path / "raw"), tmp_path / "out")
    assert [index.rows(split) for split in index.splits] == [6, 2, 6]
    whole = np.concatenate([columns_of(index, "validation"), columns_of(index, "test")])
    assert np.array_equal(whole[:6], columns_of(index, "train"))  # both folders: the same volumes


def test_an_interrupted_preparation_goes_on_to_the_same_bytes(tmp_path, monkeypatch):
    raw = folders(tmp_path / "raw")
    whole = made(small(), raw, tmp_path / "whole")
    broken, read = small(), []
    original = broken._sample

    def stops(path):
        read.append(path.name)
        if len(read) == 3:
            raise KeyboardInterrupt
        return original(path)

    monkeypatch.setattr(broken, "_sample", stops)
    with pytest.raises(KeyboardInterrupt):
        made(broken, raw, tmp_path / "out")
    rest = made(broken, raw, tmp_path / "out")
    assert rest.content["splits"] == whole.content["splits"]
    assert read[3] == "file2.h5"  # the two of the first unit were not read again


def test_an_interrupted_unpacking_passes_over_what_is_there(tmp_path):
    raw = tmp_path / "raw"
    write_archives(folders(tmp_path / "unpacked"), raw)
    preparer, scratch = small(), tmp_path / "scratch"
    preparer.begin(raw, tmp_path, scratch)
    place = scratch / "singlecoil_train"
    (place / "complete").unlink()
    (place / "file1.h5").unlink()
    (place / "file2.h5.partial").write_bytes(b"half")
    before = (place / "file0.h5").stat().st_mtime_ns
    preparer.begin(raw, tmp_path, scratch)
    assert (place / "file0.h5").stat().st_mtime_ns == before
    assert (place / "file1.h5").read_bytes() == volume(seed=1)


def write_archives(unpacked, raw):
    raw.mkdir()
    for name, archive in ARCHIVES.items():
        with tarfile.open(raw / archive, "w:xz") as tar:
            tar.add(unpacked / name, name)
    return raw


# ---- flaws


@pytest.mark.parametrize(
    "data, reason",
    [
        (b"no hdf5", "file1.h5 cannot be read: .*(signature|Unable)"),
        (volume(seed=1)[:-900], "file1.h5 cannot be read: .*truncated"),
        (hdf5({KEYS[1]: np.zeros((2, 8, 8))}, {}), "file1.h5 .* it has no 'kspace'"),
        (hdf5({KEYS[0]: np.zeros((2, 16, 10))}, {}), "it has no 'reconstruction_esc'"),
        (volume(rows=18), r"'kspace' has the shape \[2, 18, 10\], not \[slices, 16, columns\]"),
        (volume(height=9), r"'reconstruction_esc' has the shape \[2, 9, 8\], not \[2, 8, 8\]"),
        (volume(columns=7), "it has 7 columns, less than 8"),
        (hdf5(contents() | {KEYS[0]: np.full((2, 16, 10), np.nan)}, {}), "not finite"),
    ],
)
def test_a_flawed_volume_is_named_and_left_out_on_demand(tmp_path, data, reason):
    raw = folders(tmp_path / "raw", file1=data)
    with pytest.raises(DataError, match=f"(?s){reason}.*--max-corrupt"):
        made(small(), raw, tmp_path / "out")
    lenient = small()
    lenient.max_corrupt = 1
    index = made(lenient, raw, tmp_path / "out")
    assert index.rows("train") == 4
    (line,) = index.left_out("train")
    assert line["name"] == "file1.h5" and line["rows"] in (None, 2)


def test_slices_are_counted_where_volumes_are_left_out(tmp_path):
    """Two of six slices are known to be lost; a seventh was never there."""
    raw = folders(tmp_path / "raw", file1=volume(rows=18))
    lenient = small(slices={"train": 7, "validation": 2, "test": 6})
    lenient.max_corrupt = 1
    with pytest.raises(DataError, match="hold 4 examples for the split 'train'"):
        made(lenient, raw, tmp_path / "out")


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"slices": {"train": 5, "validation": 2, "test": 6}}, "hold 6 examples .* 'train'"),
        (
            {"volumes": {"train": 4, "validation": 1, "test": 3}},
            "(?s)singlecoil_train holds 3 volumes.*4, for train",
        ),
        (
            {"volumes": {"train": 3, "validation": 1, "test": 2}},
            "(?s)singlecoil_val holds 4 volumes.*3, for validation and test",
        ),
    ],
)
def test_wrong_numbers_are_refused(tmp_path, changes, message):
    with pytest.raises(DataError, match=message):
        made(small(**changes), folders(tmp_path / "raw"), tmp_path / "out")


def test_a_volume_without_its_maximum(tmp_path):
    raw = folders(tmp_path / "raw", file1=volume(attributes={}, seed=1))
    index = made(small(), raw, tmp_path / "out")
    found = ShardReader(index, "train").all_rows("max").view(np.float32).ravel()
    assert found.tolist() == [0.5, 0.5, 0.0, 0.0, 0.5, 0.5]


def test_missing_raw_files_are_named(tmp_path):
    raw = folders(tmp_path / "raw")
    shutil.rmtree(raw / "singlecoil_val")
    with pytest.raises(DataError, match=f"missing.*{VAL}"):
        made(small(), raw, tmp_path / "out")
    (raw / "singlecoil_val").mkdir()
    with pytest.raises(DataError, match="singlecoil_val holds no volumes"):
        made(small(), raw, tmp_path / "out")


@pytest.mark.parametrize("damage", [lambda d: d[: len(d) // 2], lambda d: d[:50] + d[90:]])
def test_a_damaged_archive_is_named(tmp_path, damage):
    raw = write_archives(folders(tmp_path / "unpacked"), tmp_path / "raw")
    (raw / TRAIN).write_bytes(damage((raw / TRAIN).read_bytes()))
    with pytest.raises(DataError, match=f"{TRAIN} cannot be unpacked"):
        made(small(), raw, tmp_path / "out")
    assert not (tmp_path / "out" / "index.json").exists()


def test_an_archive_that_ends_between_its_volumes(tmp_path):
    raw = write_archives(folders(tmp_path / "unpacked"), tmp_path / "raw")
    with tarfile.open(raw / TRAIN, "w:xz") as tar:
        tar.add(tmp_path / "unpacked" / "singlecoil_train" / "file0.h5", "x/file0.h5")
    with pytest.raises(DataError, match=f"{TRAIN} holds 1 volumes"):
        made(small(), raw, tmp_path / "out")


def test_an_archive_of_something_else(tmp_path):
    raw = write_archives(folders(tmp_path / "unpacked"), tmp_path / "raw")
    (raw / TRAIN).write_bytes(lzma.compress(b"no tar file, but packed" * 100))
    with pytest.raises(DataError, match=TRAIN):
        made(small(), raw, tmp_path / "out")


# ---- phantoms and the configuration


def test_phantoms_are_the_same_for_the_same_seed(tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        write_raw(tmp_path / name, seed)
    for archive in (TRAIN, VAL):
        a, b, c = ((tmp_path / name / archive).read_bytes() for name in "abc")
        assert a == b != c


def test_phantoms_have_the_real_layout(all_data):
    archive = all_data.prepared("fastmri_tiny") / "raw_fastmri_tiny" / VAL
    h5py = pytest.importorskip("h5py")
    widths = set()
    with tarfile.open(archive) as tar:
        for member in tar:
            data = io.BytesIO(tar.extractfile(member).read())
            with h5py.File(data, "r") as file:
                kspace, target = file["kspace"], file["reconstruction_esc"]
                assert kspace.dtype == np.complex64 and target.dtype == np.float32
                assert file.attrs["max"] == pytest.approx(target[()].max())
                widths.add(kspace.shape[2])
                every = np.ones(kspace.shape[2], bool)
                whole = by_definition(kspace[0], every, 48, 48)
                assert np.allclose(whole, target[0], atol=1e-5 * target[0].max())
    assert len(widths) > 1


def test_the_released_counts_stand_in_the_configuration(tmp_path):
    preparer = find_preparer("fastmri")
    assert isinstance(preparer, FastmriPreparer)
    assert sum(preparer.volumes.values()) == 973 + 199
    assert preparer.estimate_bytes(tmp_path) == pytest.approx(57e9, rel=0.05)
    (tmp_path / TRAIN).touch()  # packed: the unpacked files need room as well
    assert preparer.estimate_bytes(tmp_path) > 150e9
