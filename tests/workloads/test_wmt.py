"""wmt: masks, packing, beam search and BLEU, each against a plain re-statement."""

import math

import numpy as np
import pytest
import torch
from sacrebleu.metrics import BLEU

from algoperf_pt.errors import ConfigError
from workloads.wmt.beam_search import beam_search
from workloads.wmt.bleu import NAMES, bleu_score, bleu_sums
from workloads.wmt.decoding import Decoder
from workloads.wmt.model import Transformer, position_code, shift_right
from workloads.wmt.packing import PackedOrder, row_starts
from workloads.wmt.sample import deal, sample
from workloads.wmt.workload import trimmed

SIZES = {"vocab_size": 40, "max_length": 32, "width": 32, "heads": 4, "hidden": 48, "layers": 2}


def model(**sizes):
    made = Transformer(**(SIZES | sizes))
    made.reset_parameters(torch.Generator().manual_seed(3))
    return made.eval()


def tokens(*shape, seed=0):
    return torch.randint(3, 40, shape, generator=torch.Generator().manual_seed(seed))


# ---- the model


@pytest.mark.parametrize("sizes", [{}, {"pre_norm": False}, {"activation": "tanh", "glu": True}])
def test_packed_sentences_do_not_see_each_other(sizes):
    network = model(**sizes)
    source, target = tokens(2, 9), tokens(2, 7, seed=1)
    row = [torch.cat([part[0], part[1]])[None] for part in (source, target)]
    places = [torch.cat([torch.arange(n)] * 2)[None].int() for n in (9, 7)]
    numbers = [torch.tensor([1] * n + [2] * n)[None].int() for n in (9, 7)]
    with torch.no_grad():
        packed = network(*row, *places, *numbers)[0]
        first, second = (network(source[i : i + 1], target[i : i + 1])[0] for i in (0, 1))
    assert torch.allclose(packed[:7], first, atol=1e-5)
    # the second sentence starts from the end of the first, not from the start token
    alone = network(source[1:], torch.cat([target[:1, -1:], target[1:]], 1)[:, :7])
    assert not torch.allclose(packed[7:], second, atol=1e-3)
    assert torch.isfinite(alone).all() and torch.isfinite(packed).all()


def test_padding_changes_nothing_and_rows_of_padding_are_finite():
    network = model()
    source, target = tokens(3, 9), tokens(3, 7, seed=1)
    wide = [torch.nn.functional.pad(t, (0, 5)) for t in (source, target)]
    wide[0][2], wide[1][2] = 0, 0
    with torch.no_grad():
        plain, padded = network(source, target), network(*wide)
    assert torch.allclose(plain[:2], padded[:2, :7], atol=1e-5)
    network.train()
    loss = network(*wide).logsumexp(-1).sum()
    loss.backward()
    assert all(torch.isfinite(p.grad).all() for p in network.parameters())


def test_a_token_does_not_see_those_after_it():
    network = model()
    source, target = tokens(1, 9), tokens(1, 8, seed=1)
    other = target.clone()
    other[0, 5:] = tokens(3, seed=2)
    with torch.no_grad():
        a, b = network(source, target), network(source, other)
    assert torch.allclose(a[:, :6], b[:, :6], atol=1e-6)
    assert not torch.allclose(a[:, 6:], b[:, 6:], atol=1e-4)


def test_position_code_has_two_halves():
    code = position_code(50, 16)
    for place, column in ((0, 0), (7, 3), (49, 7)):
        rate = math.exp(-column * math.log(10_000) / 7)
        assert code[place, column] == pytest.approx(math.sin(place * rate), abs=1e-6)
        assert code[place, 8 + column] == pytest.approx(math.cos(place * rate), abs=1e-6)


def test_dropout_is_one_rate_for_all_places():
    network = model(dropout_rate=0.5).train()
    source, target = tokens(2, 9), tokens(2, 7, seed=1)
    assert not torch.equal(network(source, target), network(source, target))
    for module in network.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    assert torch.equal(network(source, target), network(source, target))


# ---- reading token by token


@pytest.mark.parametrize("sizes", [{}, {"pre_norm": False}, {"attention_temperature": 3.0}])
def test_kept_keys_give_what_the_whole_model_gives(sizes):
    network = model(**sizes)
    source = tokens(3, 9)
    source[1, 6:] = 0
    beams = tokens(3, 2, 30, seed=4)
    beams[:, :, 0] = 0
    decoder = Decoder(network, source, 2)
    order = torch.tensor([[1, 0], [0, 0], [1, 1]])
    with torch.no_grad():
        for step in range(29):
            found = decoder.step(beams[:, :, step])
            past = beams[:, :, 1 : step + 2].flatten(0, 1)  # one more: its logits are not used
            whole = network(source.repeat_interleave(2, 0), past)[:, -1].view(3, 2, -1)
            assert torch.allclose(found, whole, atol=2e-5), step
            if step % 5 == 3:
                decoder.reorder(order)
                index = order[..., None].expand(-1, -1, 30)
                future = beams.clone()
                beams = beams.gather(1, index)
                beams[:, :, step + 1 :] = future[:, :, step + 1 :]


class Table:
    """Logits that depend on the last token alone."""

    def __init__(self, logits):
        self.logits, self.calls = logits, 0

    def step(self, tokens):
        self.calls += 1
        return self.logits[tokens]

    def reorder(self, parents):
        pass


def best_of_all(logits, eos, length, alpha):
    """Every sequence that ends within the length, by brute force."""
    logs = logits.double().log_softmax(-1)
    best, stack = (-math.inf, None), [((0,), 0.0)]
    while stack:
        sequence, score = stack.pop()
        for token in range(len(logs)):
            value = score + logs[sequence[-1], token].item()
            if token == eos:
                scored = value / ((5 + len(sequence)) / 6) ** alpha
                best = max(best, (scored, (*sequence[1:], eos)))
            elif len(sequence) < length - 1:
                stack.append(((*sequence, token), value))
    return best


def test_a_wide_beam_finds_the_best_sequence():
    for seed in range(5):
        logits = torch.randn(4, 4, generator=torch.Generator().manual_seed(seed)) * 2
        score, sequence = best_of_all(logits, eos=2, length=6, alpha=0.6)
        scorer = Table(logits)
        found = beam_search(scorer, 1, torch.device("cpu"), 200, 0.6, 2, 6, check_every=1)
        assert found.scores[0, -1].item() == pytest.approx(score, rel=1e-5)
        assert tuple(found.best[0, : len(sequence)].tolist()) == sequence


def test_looking_less_often_changes_nothing():
    logits = torch.randn(30, 30, generator=torch.Generator().manual_seed(1)) * 2
    logits[:, 2] += 2.0
    runs = {}
    for every in (1, 3, 8, 100):
        scorer = Table(logits)
        found = beam_search(scorer, 5, torch.device("cpu"), 4, 0.6, 2, 40, check_every=every)
        assert found.steps == scorer.calls
        runs[every] = (found.best, found.scores)
        if every == 100:
            assert found.steps == 39
    for best, scores in runs.values():
        assert torch.equal(best, runs[1][0]) and torch.equal(scores, runs[1][1])


# ---- BLEU


def sentence_pairs(count, seed=0):
    """Sentences with numbers, quotes, hyphens and entities, and altered copies of them."""
    rng = np.random.default_rng(seed)
    words = "the a cat dog's 3.5 1,000 well-known &quot;yes&quot; U.S. (see p. 4) naïve, — 12-14"
    words = words.split()
    for _ in range(count):
        reference = list(rng.choice(words, rng.integers(1, 25)))
        changed = [w if rng.random() < 0.7 else str(rng.choice(words)) for w in reference]
        cut = changed[: rng.integers(1, len(changed) + 1)]
        yield " ".join(cut) + rng.choice([".", "!", ""]), " ".join(reference) + "."


def test_bleu_of_200_pairs_is_that_of_sacrebleu():
    hypotheses, references = zip(*sentence_pairs(200))
    expected = BLEU().corpus_score(list(hypotheses), [list(references)]).score
    assert 5 < expected < 95
    assert bleu_score(bleu_sums(hypotheses, references)) == pytest.approx(expected, abs=1e-9)


def test_bleu_of_parts_can_be_added():
    hypotheses, references = zip(*sentence_pairs(50, seed=1))
    whole = bleu_sums(hypotheses, references)
    parts = [bleu_sums(hypotheses[a:b], references[a:b]) for a, b in ((0, 13), (13, 13), (13, 50))]
    assert {name: sum(part[name] for part in parts) for name in NAMES} == whole


def test_bleu_by_its_formula():
    sums = bleu_sums(["a b c d e f"], ["a b c d x f"])
    logs = [math.log(5 / 6), math.log(3 / 5), math.log(2 / 4), math.log(1 / 3)]
    assert bleu_score(sums) == pytest.approx(100 * math.exp(sum(logs) / 4))
    short = bleu_sums(["a b c d"], ["a b c d e f"])
    assert bleu_score(short) == pytest.approx(100 * math.exp(1 - 6 / 4))
    assert bleu_score(bleu_sums(["x"], ["a b c d"])) == 0.0  # no 4-gram at all
    assert bleu_score(bleu_sums([], [])) == 0.0


# ---- packing


def plain_rows(pairs, length, group):
    """The rule, pair by pair."""
    rows = []
    for start in range(0, len(pairs), group):
        row, used = [], [0, 0]
        for pair in pairs[start : start + group]:
            if row and any(u + p > length for u, p in zip(used, pair)):
                rows.append(row)
                row, used = [], [0, 0]
            row.append(tuple(pair))
            used = [u + p for u, p in zip(used, pair)]
        rows.append(row)
    return rows


@pytest.mark.parametrize("count", [1, 15, 16, 17, 400])
def test_rows_are_those_of_the_rule(count):
    pairs = np.random.default_rng(count).integers(0, 17, (count, 2))
    starts = row_starts(*pairs.T, length=16, group=16)
    parts = [list(map(tuple, part)) for part in np.split(pairs, starts[1:])]
    assert parts == plain_rows(pairs, 16, 16)


def order(batch=4, seed=1, rank=0, world=1, count=500):
    lengths = np.random.default_rng(0).integers(1, 17, (2, count))
    pairs = np.flatnonzero(lengths.max(0) <= 14)
    return PackedOrder(*lengths, pairs, 16, batch, seed, rank, world), lengths, pairs


def test_an_epoch_holds_every_pair_once_but_for_the_last_rows():
    packed, lengths, pairs = order()
    packed.rows(0)
    steps = packed._first_step[1]
    seen = np.concatenate([packed.rows(step)[0] for step in range(steps)])
    assert len(np.unique(seen)) == len(seen) and set(seen) <= set(pairs)
    assert len(pairs) - len(seen) < 4 * 16
    again = np.concatenate([packed.rows(step)[0] for step in range(steps, 2 * steps - 2)])
    assert len(np.unique(again)) == len(again) and not np.array_equal(again, seen[: len(again)])
    for step in range(steps):
        chosen, rows = packed.rows(step)
        for side in lengths:
            assert np.bincount(rows, side[chosen], 4).max() <= 16


def test_ranks_share_the_rows_of_a_step():
    whole, halves = order()[0], [order(rank=r, world=2)[0] for r in (0, 1)]
    for step in (0, 5, 63):
        pairs, rows = whole.rows(step)
        for rank, half in enumerate(halves):
            mine, numbers = half.rows(step)
            assert np.array_equal(mine, pairs[rows % 2 == rank])
            assert np.array_equal(numbers, rows[rows % 2 == rank] // 2)


def test_a_batch_larger_than_an_epoch_is_refused():
    with pytest.raises(ConfigError, match="a batch of 4000 rows cannot be made of"):
        order(batch=4000)[0].rows(0)


def test_evaluation_rows_lose_common_padding_only():
    batch = {
        "inputs": torch.tensor([[5, 2, 0, 0], [4, 0, 2, 0]]),
        "targets": torch.tensor([[5, 2, 0, 0, 0], [0, 2, 0, 0, 0]]),
        "weights": torch.tensor([[1.0, 1, 0, 0, 0], [0, 1, 0, 0, 0]]),
    }
    small = trimmed(batch)
    assert small["inputs"].shape == (2, 3) and small["targets"].shape == (2, 2)
    assert small["weights"].shape == (2, 2)


# ---- the sample of the vocabulary


def test_parts_are_dealt_out_in_blocks_of_sixteen():
    dealt = deal(1000)
    assert sorted(dealt) == list(range(1000))
    edges = [round(1000 * part / 16) for part in range(17)]
    assert list(dealt[:16]) == list(range(16))
    assert list(dealt[16:32]) == list(range(edges[1], edges[1] + 16))
    assert list(dealt[256:272]) == list(range(16, 32))


def test_the_sample_stops_at_its_bytes():
    keys, sizes = [f"corpus/0/{n}" for n in range(500)], np.full(500, 30)
    chosen = sample(keys, sizes, 1000)
    assert len(chosen) == 34  # the pair that reaches the limit is in it
    assert np.array_equal(sample(keys, sizes, 10**9)[:34], chosen)


def test_shift_puts_the_start_in_front():
    assert shift_right(torch.tensor([[5, 6, 2]])).tolist() == [[0, 5, 6]]
