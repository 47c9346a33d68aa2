"""Word errors by the benchmark's rule, greedy decoding, masks: equal to the golden numbers.

tests/golden/librispeech_conformer: made with the PyTorch side of AlgoPerf 0.6.
"""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from algoperf_pt.data.augment import Augment
from workloads.librispeech.decoding import collapse, greedy
from workloads.librispeech.specaugment import SpecAugment, frequency_masks, time_masks
from workloads.librispeech.vocabulary import Vocabulary
from workloads.librispeech.wer import NAMES, printed_words, wer_sums

GOLDEN = Path(__file__).parents[1] / "golden" / "librispeech_conformer"
COLUMNS = ("ref_word_errors", "ref_num_words", "plain_word_errors", "plain_num_words")


@pytest.fixture(scope="module")
def golden():
    return json.loads((GOLDEN / "wer.json").read_text())


@pytest.fixture(scope="module")
def vocabulary():
    return Vocabulary(GOLDEN / "tiny_spm.model")


# ---- word errors


def test_every_pair_counts_as_in_the_reference(golden, vocabulary):
    for pair in golden["pairs"]:
        found, wanted = vocabulary.decode([pair["decoded_ids"], pair["target_ids"]])
        assert (found, wanted) == (pair["decoded_text"], pair["target_text"])
        sums = wer_sums([found], [wanted])
        assert [sums[name] for name in NAMES] == [pair[column] for column in COLUMNS], wanted


def test_totals(golden):
    texts = [[pair[f"{side}_text"] for pair in golden["pairs"]] for side in ("decoded", "target")]
    sums = wer_sums(*texts)
    assert sums["errors"] == golden["total_ref_word_errors"]
    assert sums["words"] == golden["total_ref_num_words"]
    assert sums["errors"] / sums["words"] == pytest.approx(golden["ref_wer"], abs=1e-12)
    assert sums["plain_errors"] / sums["plain_words"] == pytest.approx(golden["plain_wer"])


def distance(a, b):
    """Levenshtein, the textbook's table."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        before, row = row, [i]
        for j, y in enumerate(b, 1):
            row.append(min(before[j] + 1, row[-1] + 1, before[j - 1] + (x != y)))
    return row[-1]


def test_against_an_independent_distance():
    rng = np.random.default_rng(0)
    words = ["A", "AN", "IT'S", "ITS", "DON'T", "X", " ⁇ "]
    texts = [[" ".join(rng.choice(words, rng.integers(0, 9))) for _ in range(60)] for _ in range(2)]
    sums = wer_sums(*texts)
    printed = [[printed_words(text) for text in side] for side in texts]
    assert sums["errors"] == sum(map(distance, *printed))
    plain = [[text.split() for text in side] for side in texts]
    assert sums["plain_errors"] == sum(map(distance, *plain))
    assert sums["plain_words"] == sum(map(len, plain[1]))


def test_sides_are_not_exchanged():
    sums = wer_sums(["A B C D"], ["A"])
    assert sums == {"errors": 3 + 1, "words": 3, "plain_errors": 3, "plain_words": 1}
    assert wer_sums([""], ["A B C"])["errors"] == 3


def test_no_utterance_at_all():
    assert wer_sums([], []) == dict.fromkeys(NAMES, 0)


# ---- decoding


def test_greedy_decoding_as_in_the_reference():
    arrays = np.load(GOLDEN / "metrics.npz")
    frames = torch.from_numpy((1 - arrays["decode_paddings"]).sum(1))
    ids, lengths = greedy(torch.from_numpy(arrays["decode_logits"]), frames)
    assert ids.tolist() == arrays["decoded"].tolist()
    assert lengths.tolist() == arrays["decoded_lengths"].tolist()


def test_decoding_frame_by_frame():
    best = torch.from_numpy(np.random.default_rng(1).integers(0, 3, (50, 14)))
    frames = torch.from_numpy(np.random.default_rng(2).integers(0, 15, 50))
    ids, lengths = collapse(best, frames)
    for row in range(50):
        wanted, before = [], 0
        for token in best[row, : frames[row]].tolist():
            if token not in (0, before):
                wanted.append(token)
            before = token
        assert ids[row, : lengths[row]].tolist() == wanted
        assert not ids[row, lengths[row] :].any()


# ---- SpecAugment


def hidden(masks, size):
    """bool [B, size] of starts and widths [B, M, 2]."""
    places = np.arange(size)
    start, width = masks[..., :1].astype(int), masks[..., 1:].astype(int)
    return ((places >= start) & (places < start + width)).any(1)


@pytest.mark.parametrize("kind", ["default", "norm_and_spec_aug"])
def test_masks_as_in_the_reference(kind):
    arrays = np.load(GOLDEN / "specaug.npz")
    names = ("time_width", "time_start", "freq_width", "freq_start")
    draws = {name: arrays[f"{kind}_u_{name}"] for name in names}
    times = time_masks(draws["time_width"], draws["time_start"], arrays["lengths"], 0.05)
    bands = frequency_masks(draws["freq_width"], draws["freq_start"], 27)
    assert np.array_equal(~hidden(times, 1998), arrays[f"{kind}_time_keep"] == 1)
    assert np.array_equal(~hidden(bands, 80), arrays[f"{kind}_freq_keep"] == 1)


@pytest.mark.parametrize("kind, counts", [("default", (10, 2)), ("norm_and_spec_aug", (15, 4))])
def test_masks_hide_as_much_as_the_reference(kind, counts):
    rule = SpecAugment(counts[0], 0.05, counts[1], 27)
    table = np.load(GOLDEN / "specaug.npz")[f"{kind}_mean_masked_time_freq"]
    for frames, share_of_time, share_of_bins in table:
        valid = np.full(2000, int(frames))
        times, bands = rule.draw(valid, Augment(seed=7))
        assert hidden(times, int(frames)).mean() == pytest.approx(share_of_time, abs=0.02)
        assert hidden(bands, 80).mean() == pytest.approx(share_of_bins, abs=0.02)


def test_masks_stay_inside_the_utterance():
    ones = np.full((3, 4), 1 - 2**-24, np.float32)
    frames = np.array([1, 19, 1998])
    masks = time_masks(ones, ones, frames, 0.05).astype(int)
    assert (masks.sum(-1) <= frames[:, None]).all() and masks[:2, :, 1].max() == 0
    assert masks[2, 0].tolist() == [1998 - 99, 99]
    assert (frequency_masks(ones, ones, 27).astype(int).sum(-1) <= 80).all()
