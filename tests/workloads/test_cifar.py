"""CIFAR-10: augmentation, normalisation, the raw archive's flaws, and the network's first state."""

import gzip
import io
import tarfile

import numpy as np
import pytest
import torch

from algoperf_pt.data.augment import Augment
from algoperf_pt.data.prepare import prepare
from algoperf_pt.data.reader import ShardReader
from algoperf_pt.errors import DataError
from workloads.cifar.data import crop_and_flip, draw
from workloads.cifar.model import BasicBlock, ResNet
from workloads.cifar.prepare import ARCHIVE, TEST_FILES, TRAIN_FILES, CifarPreparer, read_records
from workloads.cifar.tiny import write_raw
from workloads.image_classification.pixels import normalise

ROWS = {"train": 2000, "validation": 500, "test": 500}
MEAN, STD = (0.5, 0.4, 0.3), (0.2, 0.25, 0.3)


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    folder = tmp_path_factory.mktemp("raw")
    write_raw(folder, seed=1)
    return folder


def archive(folder, members):
    """A raw archive with these members."""
    folder.mkdir(exist_ok=True)
    with tarfile.open(folder / ARCHIVE, "w:gz") as tar:
        for name, data in members.items():
            entry = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return folder


def records(count, label=3):
    return (bytes([label]) + bytes(3072)) * count


# ---- augmentation


def test_windows_and_flips_as_one_would_do_by_hand():
    images = torch.randint(256, (6, 3, 32, 32), dtype=torch.uint8)
    top, left = torch.tensor([0, 8, 4, 3, 8, 0]), torch.tensor([0, 8, 4, 7, 1, 5])
    flip = torch.tensor([True, False, False, True, True, False])
    made = crop_and_flip(images, 4, top, left, flip)
    padded = np.pad(images.numpy(), ((0, 0), (0, 0), (4, 4), (4, 4)))
    for i in range(6):
        window = padded[i, :, top[i] : top[i] + 32, left[i] : left[i] + 32]
        assert np.array_equal(made[i].numpy(), window[..., ::-1] if flip[i] else window), i
    assert torch.equal(made[2], images[2])  # the centre, not flipped


def test_draws_cover_their_range_and_follow_the_seed():
    top, left, flip = draw(9000, 4, Augment(7))
    for offsets in (top, left):
        assert offsets.min() == 0 and offsets.max() == 8
        assert torch.bincount(offsets).float().std() < 100  # each of nine about 1,000 times
    assert abs(flip.float().mean() - 0.5) < 0.02
    assert not torch.equal(top, left)
    assert all(torch.equal(a, b) for a, b in zip(draw(9, 4, Augment(7)), draw(9, 4, Augment(7))))
    assert not torch.equal(draw(9, 4, Augment(7))[0], draw(9, 4, Augment(8))[0])


def test_a_row_is_augmented_alike_on_any_number_of_ranks():
    whole = draw(12, 4, Augment(7))
    for rank in range(3):
        part = draw(4, 4, Augment(7, rank, 3))
        assert all(torch.equal(a[rank::3], b) for a, b in zip(whole, part))


def test_channels_are_normalised_by_their_own_numbers():
    images = torch.tensor([0, 255], dtype=torch.uint8).reshape(2, 1, 1, 1).expand(2, 3, 4, 4)
    made = normalise(images, MEAN, STD)
    assert made.dtype == torch.float32 and made.is_contiguous()
    for channel, (mean, std) in enumerate(zip(MEAN, STD)):
        assert torch.allclose(made[0, channel], torch.tensor((0 - mean) / std))
        assert torch.allclose(made[1, channel], torch.tensor((1 - mean) / std))


# ---- raw files


def test_the_road_keeps_every_byte_and_cuts_by_position(raw, tmp_path):
    index = prepare(CifarPreparer("cifar_tiny", ROWS), raw, tmp_path / "out", quiet=True)
    assert {split: index.rows(split) for split in index.splits} == ROWS
    train, test = (read_records(raw / ARCHIVE, names) for names in (TRAIN_FILES, TEST_FILES))
    parts = {"train": train[:2000], "validation": train[2000:], "test": test}
    for split, part in parts.items():
        reader = ShardReader(index, split)
        assert np.array_equal(reader.all_rows("image"), part[:, 1:])
        assert np.array_equal(reader.all_rows("label"), part[:, :1])


def test_drawn_shapes_are_the_same_for_the_same_seed(raw, tmp_path):
    write_raw(tmp_path / "same", seed=1)
    write_raw(tmp_path / "other", seed=2)
    written = (raw / ARCHIVE).read_bytes()
    assert (tmp_path / "same" / ARCHIVE).read_bytes() == written
    assert (tmp_path / "other" / ARCHIVE).read_bytes() != written


def test_members_may_stand_in_any_order(tmp_path):
    names = (*TEST_FILES, *reversed(TRAIN_FILES))
    folder = archive(tmp_path, {name: records(2, i) for i, name in enumerate(names)})
    found = read_records(folder / ARCHIVE, TRAIN_FILES)
    assert found[:, 0].tolist() == [5, 5, 4, 4, 3, 3, 2, 2, 1, 1]


@pytest.mark.parametrize(
    "flaw, message",
    [
        ({"data_batch_3.bin": None}, "no member data_batch_3.bin"),
        ({"data_batch_2.bin": records(5)[:-1]}, "data_batch_2.bin has 15364 bytes"),
        ({"data_batch_4.bin": b""}, "data_batch_4.bin has 0 bytes"),
        ({"data_batch_5.bin": records(5, label=10)}, "data_batch_5.bin has a label 10"),
        ({"data_batch_1.bin": records(4)}, "holds 24 examples for train and validation"),
    ],
)
def test_a_flaw_is_named(tmp_path, flaw, message):
    members = {name: records(5) for name in (*TRAIN_FILES, *TEST_FILES)} | flaw
    folder = archive(tmp_path / "raw", {k: v for k, v in members.items() if v is not None})
    preparer = CifarPreparer("x", {"train": 20, "validation": 5, "test": 5})
    with pytest.raises(DataError, match=message) as caught:
        prepare(preparer, folder, tmp_path / "out", quiet=True)
    assert ARCHIVE in str(caught.value)


@pytest.mark.parametrize("damage", [lambda d: d[: len(d) // 2], lambda d: b"x" + d])
def test_a_damaged_archive_is_named(raw, tmp_path, damage):
    (tmp_path / ARCHIVE).write_bytes(damage((raw / ARCHIVE).read_bytes()))
    with pytest.raises(DataError, match=f"{ARCHIVE} cannot be unpacked"):
        read_records(tmp_path / ARCHIVE, TRAIN_FILES)


def test_an_archive_of_something_else(tmp_path):
    (tmp_path / ARCHIVE).write_bytes(gzip.compress(b"no tar file, but packed" * 100))
    with pytest.raises(DataError, match=ARCHIVE):
        read_records(tmp_path / ARCHIVE, TRAIN_FILES)


def test_a_missing_archive_is_named(tmp_path):
    with pytest.raises(DataError, match=f"missing.*{ARCHIVE}"):
        prepare(CifarPreparer(), tmp_path, tmp_path / "out", quiet=True)


def test_the_released_archive_is_known_by_its_checksum(raw, tmp_path):
    with pytest.raises(DataError, match=f"{ARCHIVE} has .* bytes"):
        prepare(CifarPreparer(), raw, tmp_path / "out", quiet=True)
    assert CifarPreparer().has_addresses and not CifarPreparer("x", ROWS).has_addresses


# ---- the network


def test_blocks_start_as_the_identity():
    model = ResNet([4, 8], depth=2)
    model.reset_parameters(torch.Generator().manual_seed(0))
    x = torch.rand(2, 4, 8, 8)
    blocks = [module for module in model.modules() if isinstance(module, BasicBlock)]
    assert len(blocks) == 4
    assert torch.equal(blocks[0].eval()(x), x)  # not negative, so ReLU keeps it
    assert all(block.bn2.weight.abs().sum() == 0 for block in blocks)


def test_statistics_return_to_their_first_state():
    model = ResNet([4, 8], depth=1).train()
    model(torch.rand(4, 3, 32, 32))
    assert model.bn1.running_mean.abs().sum() > 0
    model.reset_parameters(torch.Generator().manual_seed(0))
    assert model.bn1.running_mean.abs().sum() == 0 and model.bn1.num_batches_tracked == 0
