"""ImageNet's batches: the same for any number of workers and ranks, decoded once in evaluations."""

import shutil

import numpy as np
import pytest
import torch
import webdataset as wds

from algoperf_pt.data.index import DataIndex
from algoperf_pt.data.prepare import prepare
from algoperf_pt.data.row_cache import FOLDER
from algoperf_pt.errors import DataError
from algoperf_pt.ranks import Ranks
from algoperf_pt.workload_data import Loading
from tests.support.ranks import OneOf
from workloads.imagenet import data as module
from workloads.imagenet.data import ImagenetData
from workloads.imagenet.prepare import ImagenetPreparer
from workloads.imagenet.tiny import ROWS, write_raw

CPU = torch.device("cpu")
COUNTS = {**ROWS, "eval_train": 200}
OPTIONS = {
    "side": 32,
    "short_side": 36,
    "area": [0.08, 1.0],
    "ratio": [0.75, 4 / 3],
    "mean": [0.485, 0.456, 0.406],
    "std": [0.229, 0.224, 0.225],
    "classes": 10,
}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("imagenet")
    write_raw(folder / "raw")
    preparer = ImagenetPreparer("imagenet_tiny", ROWS, 10)
    prepare(preparer, folder / "raw", folder / "out", quiet=True)
    return folder / "out"


@pytest.fixture
def own(prepared, tmp_path):
    """The prepared data with nothing kept by others."""
    return shutil.copytree(prepared, tmp_path / "own", ignore=shutil.ignore_patterns(FOLDER))


def data(folder, workers=0, size=64, **options):
    common = dict(dataset="imagenet_tiny", preparer_version=1, num_examples=COUNTS)
    loading = Loading(workers)
    every = {**common, **OPTIONS, **options}
    return ImagenetData(root=folder, eval_batch_size=size, loading=loading, **every)


def train(found, count=2, size=16, seed=3, ranks=Ranks(CPU), start=0):
    stream = found.train_batches(size, seed, ranks, start)
    return [next(stream) for _ in range(count)]


def same(one, two):
    assert len(one) == len(two)
    return all(torch.equal(a[k], b[k]) for a, b in zip(one, two) for k in a)


# ---- training


def test_batches_are_what_a_network_takes(prepared):
    (batch,) = train(data(prepared), 1)
    inputs = batch["inputs"]
    assert inputs.shape == (16, 3, 32, 32) and inputs.dtype == torch.float32
    assert inputs.is_contiguous(memory_format=torch.channels_last)
    assert batch["targets"].shape == (16,) and batch["targets"].dtype == torch.int64
    assert set(batch) == {"inputs", "targets", "weights"}
    assert abs(inputs.mean()) < 1 and 0.5 < inputs.std() < 2
    (mixed,) = train(data(prepared, mixup=0.2, randaugment=2), 1)
    assert set(mixed) == {"inputs", "targets", "weights"}
    assert mixed["targets"].shape == (16, 10) and mixed["targets"].dtype == torch.float32
    assert torch.allclose(mixed["targets"].sum(1), torch.ones(16))


def test_bytes_travel_to_the_device(prepared):
    found = data(prepared, mixup=0.2)
    found.finish = lambda batch: batch
    (batch,) = train(found, 1)
    assert batch["inputs"].dtype == torch.uint8 and batch["inputs"].shape == (16, 32, 32, 3)
    assert batch["targets"].dtype == torch.int64


@pytest.mark.parametrize("options", [{}, {"randaugment": 2, "mixup": 0.2}])
def test_training_depends_on_seed_and_step_alone(prepared, options):
    whole = train(data(prepared, **options), 4)
    for workers in (1, 3):
        assert same(whole, train(data(prepared, workers, **options), 4))
    assert same(whole[2:], train(data(prepared, **options), 2, start=2))
    assert not same(whole, train(data(prepared, **options), 4, seed=4))
    parts = [train(data(prepared, **options), 4, ranks=OneOf(r, 2)) for r in (0, 1)]
    for step in range(4):
        for key in whole[step]:
            joined = torch.stack([parts[r][step][key] for r in (0, 1)], 1).flatten(0, 1)
            assert torch.equal(joined, whole[step][key]), (step, key)


def test_a_picture_differs_from_epoch_to_epoch(prepared):
    found = data(prepared)
    row = found.build("train", np.array([5, 5]), module.Augment(1))["inputs"]
    again = found.build("train", np.array([5, 5]), module.Augment(2))["inputs"]
    assert not torch.equal(row[0], row[1]) and not torch.equal(row, again)


# ---- evaluations


def evaluated(found, split, ranks=Ranks(CPU)):
    """inputs and targets of the rows that are no padding."""
    batches = list(found.eval_batches(split, ranks))
    real = [batch["weights"] > 0 for batch in batches]
    return {
        key: torch.cat([batch[key][rows] for batch, rows in zip(batches, real)])
        for key in ("inputs", "targets")
    }


@pytest.mark.parametrize("split", ["train", "validation", "test"])
@pytest.mark.parametrize("kept", [False, True])
def test_evaluations_are_equal_for_any_number_of_workers_and_ranks(own, split, kept):
    """The reference's are wrong with workers."""
    whole = evaluated(data(own, eval_cache=False), split)
    assert len(whole["targets"]) == COUNTS["eval_train" if split == "train" else split]
    for workers in (0, 1, 3):
        found = data(own, workers, eval_cache=kept)
        assert all(torch.equal(whole[k], v) for k, v in evaluated(found, split).items())
        halves = [evaluated(found, split, OneOf(rank, 2)) for rank in (0, 1)]
        for key, value in whole.items():
            joined = torch.empty_like(value)
            joined[0::2], joined[1::2] = halves[0][key], halves[1][key]
            assert torch.equal(joined, value)


def forbid(monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("a picture is decoded")

    for name in ("Picture", "bicubic_square", "scaled_and_cut"):
        monkeypatch.setattr(module, name, refuse)


@pytest.mark.parametrize("split", ["train", "validation", "test"])
@pytest.mark.parametrize("workers", [0, 2])
def test_a_second_evaluation_reads_no_picture(own, split, workers, monkeypatch):
    first = evaluated(data(own, workers), split)
    forbid(monkeypatch)
    again = evaluated(data(own), split)
    assert all(torch.equal(first[key], again[key]) for key in first)


def test_what_an_interrupted_evaluation_left_out_is_made(own, monkeypatch):
    whole = evaluated(data(own, eval_cache=False), "validation")
    stream = data(own).eval_batches("validation", Ranks(CPU))
    next(stream), next(stream)
    decoded = []
    picture = module.Picture
    monkeypatch.setattr(module, "Picture", lambda data: decoded.append(1) or picture(data))
    again = evaluated(data(own), "validation")
    assert torch.equal(again["inputs"], whole["inputs"])
    rows = COUNTS["validation"] - 128
    assert rows <= len(decoded) <= rows + 64  # the padding's row is there already


@pytest.mark.parametrize("change", [{"side": 24}, {"short_side": 40}])
def test_another_transform_keeps_rows_of_its_own(own, change):
    evaluated(data(own), "validation")
    kept = set((own / FOLDER).iterdir())
    evaluated(data(own, **change), "validation")
    assert len(kept) == 1 and len(set((own / FOLDER).iterdir())) == 2
    wanted = evaluated(data(own, eval_cache=False, **change), "validation")
    assert torch.equal(evaluated(data(own, **change), "validation")["inputs"], wanted["inputs"])


def test_without_space_evaluations_go_on_and_say_so(own, monkeypatch):
    whole = evaluated(data(own, eval_cache=False), "validation")
    assert not (own / FOLDER).exists()
    usage = shutil.disk_usage(own)._replace(free=0)
    monkeypatch.setattr("algoperf_pt.data.row_cache.shutil.disk_usage", lambda path: usage)
    found = data(own)
    with pytest.warns(UserWarning, match=f"not kept in {own / FOLDER}") as caught:
        for _ in range(2):
            again = evaluated(found, "validation")
            assert all(torch.equal(whole[key], again[key]) for key in whole)
    assert len(caught) == 1


# ---- damage


def test_a_damaged_shard_names_the_picture(own):
    index = DataIndex.open(own)
    _, parts = index.members("train")
    path = index.shards("train")[0]
    with path.open("r+b") as file:
        file.seek(int(parts["jpg"].offset[7]) + 200)
        file.write(b"damage")
    with pytest.raises(DataError, match=r"train-000000.tar: part 'jpg' .*\(n\d+_\d+.jpg\)"):
        data(own).build("train", np.arange(16), module.Augment(1))


def test_labels_are_those_of_the_raw_files(prepared):
    """By way of the pictures' own names: wnid before the underscore."""
    index = DataIndex.open(prepared)
    urls = [str(path) for path in index.shards("train")]
    names = [s["__key__"].split("_")[0] for s in wds.WebDataset(urls, shardshuffle=False)]
    wanted = np.unique(names, return_inverse=True)[1]
    found = data(prepared, eval_cache=False).build("train", np.arange(2000), None)["targets"]
    assert np.array_equal(found.numpy(), wanted)
