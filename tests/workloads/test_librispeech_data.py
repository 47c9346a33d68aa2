"""LibriSpeech's batches: every sample in its place, no longer than needed, the same on any number
of ranks."""

import json
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

from algoperf_pt.data.augment import Augment
from algoperf_pt.data.prepare import find_preparer, prepare
from algoperf_pt.data.shards import Sample
from algoperf_pt.errors import DataError
from algoperf_pt.ranks import Ranks
from tests.support.ranks import OneOf
from workloads.librispeech.bench import LibrispeechBench
from workloads.librispeech.data import COUNTS, LibrispeechData, lengths
from workloads.librispeech.lengths import (
    LONGEST,
    frames,
    needed_frames,
    output_frames,
    padded_samples,
    valid_frames,
)
from workloads.librispeech.padding import computed_frames, waste
from workloads.librispeech.tiny import write_raw

CPU = torch.device("cpu")
GOLDEN = Path(__file__).parents[1] / "golden" / "librispeech_conformer"
NAME = "librispeech_conformer_tiny"
MASKS = {"time_masks": 3, "time_ratio": 0.2, "frequency_masks": 2, "frequency_width": 9}
DATASET = {"dataset": "made", "preparer_version": 1}
COUNTED = {"train": 1024, "eval_train": 96, "validation": 96, "test": 64}


def open_data(folder, dataset="librispeech_tiny", counted=COUNTED, **options):
    options = {"specaugment": MASKS, **options}
    return LibrispeechData(
        root=folder / dataset,
        dataset=dataset,
        preparer_version=1,
        num_examples=counted,
        eval_batch_size=32,
        **options,
    )


@pytest.fixture
def data(all_data):
    return open_data(all_data.prepared(NAME))


# ---- lengths


def test_frames_as_in_the_reference():
    for samples, padded, valid, count in np.load(GOLDEN / "preprocess.npz")["lengths_to_frames"]:
        assert frames(int(padded)) == count
        assert min(valid_frames(int(samples)), count) == valid


def test_widths_are_the_shortest_that_change_nothing():
    for longest in [*range(1, 4000), *range(310_000, LONGEST + 1, 7), LONGEST]:
        width = padded_samples(longest)
        count, least = frames(width), min(frames(LONGEST), valid_frames(longest) + 2)
        assert longest <= width <= LONGEST and count % 4 == 2 and least <= count < least + 4
    assert padded_samples(LONGEST) == LONGEST


def test_lengths_of_arrays_and_tensors():
    samples = [1, 160, 161, 9000]
    wanted = [output_frames(count) for count in samples]
    assert output_frames(np.array(samples)).tolist() == wanted
    assert output_frames(torch.tensor(samples)).tolist() == wanted


def test_frames_that_ctc_needs():
    ids = np.array([[5, 5, 5, 2], [5, 6, 5, 0], [2, 0, 0, 0], [7, 7, 0, 0]])
    assert needed_frames(ids, np.array([4, 3, 1, 2])).tolist() == [6, 3, 1, 3]
    assert needed_frames(torch.from_numpy(ids), torch.tensor([4, 3, 1, 2])).tolist() == [6, 3, 1, 3]
    by_torch = torch.nn.functional.ctc_loss(
        torch.randn(5, 4, 9).log_softmax(-1),
        torch.from_numpy(ids),
        torch.tensor([5, 3, 1, 2]),
        torch.tensor([4, 3, 1, 2]),
        reduction="none",
    )
    assert by_torch.isinf().tolist() == [True, False, False, True]


def test_padding_that_is_left():
    shares = waste()
    assert shares["train, groups of 16 within 256"] < 1.1 < shares["train, longest of 256"]
    assert shares["evaluation, longest of 256, sorted"] < 1.1 < 2 < shares["evaluation, 20 s"]
    assert computed_frames(np.array([160, 1600, 320_000]), 2) == 2 * 14 + 1998


# ---- batches


def test_a_batch_holds_what_the_shards_hold(data):
    rows = np.array([7, 1023, 0, 512])
    batch = data.build("train", rows, Augment(0))
    members = data.reader("train").read(rows)
    samples = [np.frombuffer(member["pcm"], np.int16) for member in members]
    ids = [np.frombuffer(member["token"], np.uint16) for member in members]
    assert batch["input_lengths"].tolist() == list(map(len, samples))
    assert batch["target_lengths"].tolist() == list(map(len, ids))
    assert batch["inputs"].shape == (4, padded_samples(max(map(len, samples))))
    assert batch["targets"].shape == (4, max(map(len, ids)))
    for row, (sound, tokens) in enumerate(zip(samples, ids)):
        assert batch["inputs"][row, : len(sound)].tolist() == sound.tolist()
        assert not batch["inputs"][row, len(sound) :].any()
        assert batch["targets"][row, : len(tokens)].tolist() == tokens.tolist()
        assert not batch["targets"][row, len(tokens) :].any()
    kinds = {name: tensor.dtype for name, tensor in batch.items()}
    assert kinds == {
        "inputs": torch.int16,
        "input_lengths": torch.int32,
        "targets": torch.int32,
        "target_lengths": torch.int32,
        "weights": torch.float32,
        "time_masks": torch.int16,
        "frequency_masks": torch.int16,
    }


def test_flac_gives_the_same_batches(data, tmp_path):
    write_raw(tmp_path / "raw")
    preparer = find_preparer(NAME, ["codec=flac"])
    prepare(preparer, tmp_path / "raw", tmp_path / "librispeech_tiny", quiet=True)
    other = open_data(tmp_path)
    assert other.index.parts("train") == ["flac", "length", "token"]
    for split in ("train", "test"):
        one, two = (d.build(split, np.arange(20), Augment(3)) for d in (data, other))
        assert all(torch.equal(one[name], two[name]) for name in one)


@pytest.mark.parametrize("world", [2, 4])
def test_ranks_share_a_batch_and_its_masks(data, world):
    whole = next(data.train_batches(16, 3, Ranks(CPU)))
    assert whole["time_masks"][..., 1].any() and whole["frequency_masks"][..., 1].any()
    for rank in range(world):
        part = next(data.train_batches(16, 3, OneOf(rank, world)))
        for name in ("time_masks", "frequency_masks", "input_lengths", "target_lengths", "weights"):
            assert torch.equal(part[name], whole[name][rank::world]), name
        width = part["inputs"].shape[1]
        assert width == padded_samples(int(part["input_lengths"].max()))
        assert torch.equal(part["inputs"], whole["inputs"][rank::world, :width])
        assert not whole["inputs"][rank::world, width:].any()


def test_masks_differ_from_step_to_step_and_can_be_left_away(data, all_data):
    stream = data.train_batches(16, 3, Ranks(CPU))
    first, second = next(stream)["time_masks"], next(stream)["time_masks"]
    assert not torch.equal(first, second)
    without = open_data(all_data.prepared(NAME), specaugment=None)
    batch = next(without.train_batches(16, 3, Ranks(CPU)))
    assert {"time_masks", "frequency_masks"}.isdisjoint(batch)
    assert "time_masks" not in next(iter(data.eval_batches("train", Ranks(CPU))))


def test_masks_end_before_the_utterance_does(data):
    batch = next(data.train_batches(64, 3, Ranks(CPU)))
    valid = valid_frames(batch["input_lengths"])
    ends = batch["time_masks"].sum(-1)
    assert (ends <= valid[:, None]).all() and (batch["time_masks"] >= 0).all()
    assert (ends > valid[:, None] // 2).any()  # and reach its second half
    assert (batch["frequency_masks"].sum(-1) <= 80).all()


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_evaluations_go_from_short_to_long(data, split):
    rows = data.eval_index(split)
    samples = lengths(data.reader(split), rows)[:, 0]
    assert (np.diff(samples) >= 0).all()
    assert len(np.unique(rows)) == len(rows) == data.eval_rows(split)
    assert split != "train" or rows.max() > COUNTED["eval_train"]  # a sample of all of them
    batches = list(data.eval_batches(split, Ranks(CPU)))
    seen = [b["input_lengths"][b["weights"] > 0] for b in batches]
    assert torch.cat(seen).tolist() == samples.tolist()
    widths = [batch["inputs"].shape[1] for batch in batches]
    assert widths == sorted(widths) and widths[0] < widths[-1]


def test_the_evaluated_training_sample_is_the_same_on_every_road(data, all_data):
    again = open_data(all_data.prepared(NAME))
    assert np.array_equal(again.eval_index("train"), data.eval_index("train"))


def test_the_vocabulary_gives_the_texts_back(data):
    batch = data.build("test", np.arange(5), None)
    rows = [ids[:n] for ids, n in zip(batch["targets"].tolist(), batch["target_lengths"].tolist())]
    for text, row in zip(data.vocabulary.decode(rows), rows):
        assert text and set(text) <= set("AEIOUDKLMNST' ")
        assert data.vocabulary.encode([text]) == [row]


# ---- utterances that CTC cannot align, and damage


def made_up(folder, table, unalignable):
    """A prepared dataset of utterances (samples, ids): every sample is the utterance's number."""
    bench = LibrispeechBench({"workload": {"model": {}, "data": {**DATASET, "options": {}}}})
    rows = []
    for number, (samples, ids) in enumerate(table, 1):
        needed = needed_frames(np.array([ids]), np.array([len(ids)]))[0]
        parts = {
            "pcm": np.full(samples, number, np.int16).tobytes(),
            "token": np.array(ids, np.uint16).tobytes(),
            "length": np.array([samples, len(ids), needed], np.int32).tobytes(),
        }
        rows.append(Sample(f"{number}", parts))
    counts = {"train": {"kept": len(table), "unalignable": unalignable}}
    splits = {split: rows for split in ("train", "validation", "test")}
    bench.write_prepared(folder / "made", splits, assets={COUNTS: json.dumps(counts).encode()})
    count = dict.fromkeys(("train", "eval_train", "validation", "test"), len(table))
    return open_data(folder, "made", count)


# 1,920 samples: 12 frames, 3 of the logits; the second needs one for a blank in between
TABLE = [(1_920, [5, 6, 2]), (1_920, [5, 5, 2]), (320, [5, 2]), (16_000, [5, 5, 2])]


def test_what_ctc_cannot_align_weighs_nothing_in_training(tmp_path):
    data = made_up(tmp_path, TABLE, 2)
    with pytest.warns(UserWarning, match="2 of 4 training utterances have more ids than CTC"):
        batch = next(data.train_batches(4, 0, Ranks(CPU)))
    weight = dict(zip(batch["inputs"][:, 0].tolist(), batch["weights"].tolist()))
    assert weight == {1: 1.0, 2: 0.0, 3: 0.0, 4: 1.0}
    for split in ("train", "validation"):
        (batch,) = data.eval_batches(split, Ranks(CPU))
        assert batch["weights"].sum() == 4  # evaluations count their words


def test_no_warning_without_a_reason(tmp_path):
    data = made_up(tmp_path, TABLE[:1] * 4, 0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        next(data.train_batches(4, 0, Ranks(CPU)))


def test_an_utterance_of_20_seconds(tmp_path):
    data = made_up(tmp_path, [(LONGEST, [5, 2]), (160, [5, 2])], 0)
    batch = data.build("train", np.arange(2), Augment(0))
    assert batch["inputs"].shape == (2, LONGEST) and batch["inputs"][0, -1] == 1
    assert (batch["time_masks"].sum(-1) <= torch.tensor([[1998], [1]])).all()


@pytest.mark.parametrize("part", ["pcm", "token"])
def test_a_damaged_utterance_is_named(tmp_path, part):
    data = made_up(tmp_path, TABLE, 0)
    places = data.index.members("train")[1][part]
    with data.index.shards("train")[0].open("r+b") as file:
        file.seek(int(places.offset[1]))
        file.write(b"\x77")
    data.build("train", np.array([0, 2, 3]), None)
    with pytest.raises(DataError, match=f"part '{part}' of member 1 .* is corrupt"):
        data.build("train", np.arange(4), None)
