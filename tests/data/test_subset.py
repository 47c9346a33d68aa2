"""Training on a part of the rows, and with labels dealt out again: what the axes data_fraction and
label_noise of new variants do."""

import numpy as np
import pytest
import torch

from algoperf_pt.data.order import Order
from algoperf_pt.data.subset import SubsetOrder, check_subset, kept_rows
from algoperf_pt.errors import ConfigError
from algoperf_pt.instantiate import import_object
from algoperf_pt.ranks import Ranks
from algoperf_pt.seeds import derive
from tests.support.ranks import OneOf
from tests.support.workloads import node
from workloads.image_classification.data import noisy

CPU = Ranks(torch.device("cpu"))
BATCH = {"ogbg_tiny": 64, "wmt_tiny": 8, "digits": 32, "fastmri_tiny": 4, "finewebedu_lm_tiny": 16}


def make(all_data, name, share=None, counts=(), **options):
    """The workload's data, with a share of its training rows, and other `counts` by split."""
    config = node(name)
    of = config.num_examples.train
    counts = {**config.num_examples, **dict(counts)}
    given = {**config.data.get("options", {}), **options}
    if share is not None:
        counts["train"] = round(share * of)
        given["subset"] = {"of": of, "seed": 5}
    kind = import_object(config.data["_target_"], "")
    folder = all_data.prepared(name) / config.data["dataset"]
    common = (folder, config.data["dataset"], config.data["preparer_version"], counts)
    names = ("root", "dataset", "preparer_version", "num_examples")
    return kind(**dict(zip(names, common)), eval_batch_size=config.eval_batch_size, **given)


READ_BY = {  # name -> whose method reads the rows of a training batch, and which argument they are
    "ogbg_tiny": (lambda data: data.molecules("train"), "batch", 0),
    "wmt_tiny": (lambda data: data, "_tokens", 1),
    "fastmri_tiny": (lambda data: data, "_load", 1),
    "digits": (lambda data: data, "build", 1),
    "finewebedu_lm_tiny": (lambda data: data, "build", 1),
}


def trained_on(data, name, monkeypatch):
    """Rows that an epoch of batches reads."""
    rows, (owner, method, place) = set(), READ_BY[name]
    read = getattr(owner(data), method)

    def listen(*arguments):
        rows.update(arguments[place].tolist())
        return read(*arguments)

    monkeypatch.setattr(owner(data), method, listen)
    order = data.train_order(BATCH[name], 3, CPU)
    for step in range(data.num_examples["train"] // BATCH[name]):
        data.train_batch(order, step, None)
    return rows


def test_rows_are_drawn_once_by_their_seed():
    rows = kept_rows(300, 1000, 5)
    assert len(np.unique(rows)) == 300 and (np.diff(rows) > 0).all()
    assert rows.min() >= 0 and rows.max() < 1000
    assert (rows == kept_rows(300, 1000, 5)).all()
    assert (rows != kept_rows(300, 1000, 6)).any()


@pytest.mark.parametrize("count", [0, 11])
def test_no_more_rows_than_there_are(count):
    with pytest.raises(ConfigError, match="num_examples.train"):
        kept_rows(count, 10, 0)


def test_an_epoch_of_a_subset_is_a_permutation_of_it():
    kept = kept_rows(40, 100, 1)
    epochs = [
        np.concatenate([SubsetOrder(kept, 8, 2, 0, 1).indices(s) for s in range(5 * e, 5 * e + 5)])
        for e in (0, 1)
    ]
    assert all((np.sort(epoch) == kept).all() for epoch in epochs)
    assert (epochs[0] != epochs[1]).any()


def test_a_subset_of_all_rows_has_the_order_of_all():
    kept, plain = np.arange(100), Order(100, 8, 2, 1, 2)
    for step in (0, 5, 20):
        assert (SubsetOrder(kept, 8, 2, 1, 2).indices(step) == plain.indices(step)).all()


@pytest.mark.parametrize("name", sorted(BATCH))
def test_a_trial_sees_only_the_rows_that_are_kept(all_data, name, monkeypatch):
    data = make(all_data, name, share=0.4)
    rows, kept = trained_on(data, name, monkeypatch), set(data.kept.tolist())
    assert rows <= kept
    assert len(rows) > 0.9 * len(kept)  # a batch that is not full ends an epoch


@pytest.mark.parametrize("name", sorted(BATCH))
def test_the_evaluated_part_of_the_training_split_is_of_the_subset(all_data, name):
    data = make(all_data, name, share=0.4)
    chosen = data.eval_index("train")
    assert set(np.asarray(chosen).tolist()) <= set(data.kept.tolist())
    assert len(chosen) == data.eval_rows("train")
    whole = make(all_data, name)
    for split in ("validation", "test"):
        assert np.array_equal(data.eval_index(split), whole.eval_index(split))


@pytest.mark.parametrize("name", [*sorted(BATCH), "criteo1tb_tiny"])
def test_a_part_of_the_evaluated_splits_is_drawn_once(all_data, name):
    whole = node(name).num_examples
    parts = {split: whole[split] // 3 for split in ("validation", "test") if whole[split]}
    subset = {"of": whole.train, "seed": 5, **{split: whole[split] for split in parts}}
    data = make(all_data, name, counts=parts, subset=subset)
    assert data.kept is None
    for split, count in parts.items():
        rows = np.asarray(data.eval_index(split))
        assert len(np.unique(rows)) == len(rows) == data.eval_rows(split) == count
        assert rows.min() >= 0 and rows.max() < whole[split]
        weights = [batch["weights"] for batch in data.eval_batches(split, CPU)]
        assert sum(len(w) for w in weights) >= count
    again = make(all_data, name, counts=parts, subset={**subset, "seed": 6})
    assert not np.array_equal(data.eval_index("validation"), again.eval_index("validation"))


def test_rows_of_a_split_too_large_to_permute_are_drawn_alike():
    rows = kept_rows(1000, 2**24 + 1, 5, "validation")
    assert len(np.unique(rows)) == 1000 and (np.diff(rows) > 0).all()
    assert (rows == kept_rows(1000, 2**24 + 1, 5)).all() and rows.max() <= 2**24
    assert 0.4 < (rows < 2**23).mean() < 0.6


def test_more_evaluated_rows_than_are_stored_are_refused(all_data):
    with pytest.raises(ConfigError, match="num_examples.validation: 251 rows cannot be kept"):
        subset = {"of": 1297, "seed": 1, "validation": 250}
        make(all_data, "digits", counts={"validation": 251}, subset=subset)


def test_a_whole_epoch_of_a_subset_reads_batches(all_data):
    data = make(all_data, "wmt_tiny", share=0.3)
    batch = next(data.train_batches(8, 0, CPU))
    assert batch["inputs"].shape == (8, 64) and (batch["weights"].sum(1) > 0).all()
    graphs = next(make(all_data, "ogbg_tiny", share=0.3).train_batches(64, 0, CPU))
    assert graphs["targets"].shape == (64, 128)


def test_ranks_share_the_batches_of_a_subset(all_data):
    data = make(all_data, "digits", share=0.5)
    alone = data.train_order(32, 1, CPU).indices(7)
    parts = [data.train_order(32, 1, OneOf(rank, 2)).indices(7) for rank in (0, 1)]
    assert (np.stack(parts, 1).ravel() == alone).all()


def test_data_with_an_order_of_their_own_refuse_a_subset(all_data):
    with pytest.raises(ConfigError, match="cannot train on a part of its rows"):
        make(all_data, "criteo1tb_tiny", share=0.5)


@pytest.mark.parametrize(
    "subset, counts, message",
    [
        ({"of": 10}, {"train": 5, "eval_train": 2}, "the subset holds of"),
        ({"of": 10, "seed": 1}, {"train": 5, "eval_train": 6}, "eval_train=6 is more than"),
    ],
)
def test_an_impossible_subset_says_why(subset, counts, message):
    with pytest.raises(ConfigError, match=message):
        check_subset(subset, counts, able=True)


def test_the_stored_rows_are_still_counted(all_data):
    with pytest.raises(Exception, match="holds 1297 examples"):
        make(all_data, "digits", subset={"of": 1300, "seed": 1})


# ---- labels


def test_noise_deals_labels_out_among_a_share_of_the_rows():
    labels = torch.arange(1000)  # all different, so that each change shows
    changed = noisy(labels, np.arange(1000), share=0.3, seed=1)
    moved = (changed != labels).nonzero().flatten()
    assert len(moved) == 300
    assert sorted(changed[moved].tolist()) == moved.tolist()
    assert torch.equal(changed, noisy(labels, np.arange(1000), 0.3, 1))
    assert not torch.equal(changed, noisy(labels, np.arange(1000), 0.3, 2))
    assert torch.equal(labels, torch.arange(1000))


def test_noise_is_a_share_of_the_rows_that_are_trained_on():
    rows = np.arange(0, 1000, 4)
    labels = torch.arange(1000)
    moved = (noisy(labels, rows, 0.4, 1) != labels).nonzero().flatten()
    assert len(moved) == 100 and (moved % 4 == 0).all()


def test_only_training_labels_are_noisy(all_data):
    clean, noise = make(all_data, "digits"), {"share": 0.3, "seed": derive(0, "x") % 2**32}
    data = make(all_data, "digits", label_noise=noise)
    wrong = (data.table("train")[1] != clean.table("train")[1]).float().mean()
    assert 0.2 < wrong < 0.3  # one of ten gets its own class again
    assert torch.equal(data.table("train")[0], clean.table("train")[0])
    for split in ("validation", "test"):
        assert torch.equal(data.table(split)[1], clean.table(split)[1])


def test_an_impossible_share_is_refused():
    with pytest.raises(ConfigError, match="share of 1.5"):
        noisy(torch.arange(3), np.arange(3), 1.5, 0)
