"""LibriSpeech's networks: padding that changes nothing, norms, CTC."""

import math
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.autograd import gradcheck, gradgradcheck
from torch.nn.utils.rnn import pack_padded_sequence

from algoperf_pt.assemble import make_workload
from algoperf_pt.config import compose_config
from algoperf_pt.errors import DataError
from algoperf_pt.spec import make_spec
from tests.support.speech import LENGTHS, SMALL, drawn, network, seeded, sound
from workloads.librispeech import speech
from workloads.librispeech.conformer import Conformer
from workloads.librispeech.deepspeech import DeepSpeech, Recurrent
from workloads.librispeech.lengths import output_frames, padded_samples, sufficient_frames
from workloads.librispeech.loss import ctc
from workloads.librispeech.masked_norm import LayerNorm, MaskedBatchNorm
from workloads.librispeech.packing import ByTime, Packing
from workloads.librispeech.workload import ConformerWorkload

CPU = torch.device("cpu")
VARIANTS = [
    (Conformer, {}),
    (Conformer, {"post_layer_norm": False, "use_gelu": True, "attention_temperature": 1.6}),
    (DeepSpeech, {}),
    (DeepSpeech, {"tanh": True, "residual": False}),
    (DeepSpeech, {"layer_norm_everywhere": True, "decoder_layer_norm": False}),
]


def valid(logits, lengths):
    """[frames of all rows, V]."""
    return torch.cat([row[: output_frames(n)] for row, n in zip(logits, lengths)])


# ---- padding


@pytest.mark.parametrize("kind, sizes", VARIANTS)
def test_an_utterance_has_the_same_logits_alone(kind, sizes):
    model = network(kind, **sizes)
    inputs, lengths = sound()
    together = model(inputs, lengths)
    assert together.shape == (5, 28, 12)
    for row, length in enumerate(LENGTHS):
        width = padded_samples(length)
        alone = model(inputs[row : row + 1, :width], lengths[row : row + 1])[0]
        count = output_frames(length)
        assert torch.allclose(together[row, :count], alone[:count], atol=2e-5)
        assert together[row, count:].abs().sum() == 0


@pytest.mark.parametrize("kind", SMALL)
def test_training_does_not_depend_on_groups(kind):
    inputs, lengths = sound()
    found = []
    for sizes in ({}, {"rows_at_once": 2}, {"rows_at_once": 1}):
        model = network(kind, **sizes).train()
        logits = model(inputs, lengths)
        logits.square().mean().backward()
        buffers = [buffer.clone() for _, buffer in model.named_buffers()]
        found.append([logits.detach(), *buffers, *(p.grad for p in model.parameters())])
    for others in found[1:]:
        assert all(torch.allclose(a, b, atol=1e-5, rtol=1e-4) for a, b in zip(found[0], others))


@pytest.mark.parametrize("kind", SMALL)
def test_batches_of_20_seconds_give_the_same(kind, monkeypatch):
    """And so do the convolutions if nothing is cut off."""
    model, lengths = network(kind), LENGTHS[:3]
    short = model(*sound(lengths))
    long = torch.nn.functional.pad(sound(lengths)[0], (0, 320_000 - padded_samples(17_200)))
    assert torch.equal(valid(model(long, sound(lengths)[1]), lengths), valid(short, lengths))
    monkeypatch.setattr(speech, "sufficient_frames", lambda valid, total: total)
    whole = model(long, sound(lengths)[1])
    assert whole.shape[1] == 500
    assert torch.allclose(valid(whole, lengths), valid(short, lengths), atol=1e-5)


@pytest.mark.parametrize("more", [1, 2, 3])
def test_another_length_modulo_4_gives_something_else(more):
    """As in the reference; the rule for widths is kept by the data, not by the model."""
    model, lengths = network(), [9_000]
    inputs, counts = sound(lengths)
    right = valid(model(inputs, counts), lengths)
    wide = torch.nn.functional.pad(inputs, (0, 160 * more))
    assert (valid(model(wide, counts), lengths) - right).abs().max() > 1e-2


def test_fewer_frames_than_the_convolution_sees_give_something_else(monkeypatch):
    model, batch = network(), sound([58 * 160])  # in 62 frames; 58 are also 2 modulo 4
    right = valid(model(*batch), [58 * 160])
    monkeypatch.setattr("workloads.librispeech.lengths._LOOK_AHEAD", 0)
    assert (valid(model(*batch), [58 * 160]) - right).abs().max() > 1e-3


def test_lengths_up_to_20_seconds_need_at_most_two_frames_and_three():
    for total in range(40, 50):
        for count in range(1, total + 1):
            needed = sufficient_frames(count, total)
            assert min(total, count + 2) <= needed <= total and (total - needed) % 4 == 0
            assert needed < count + 6


@pytest.mark.parametrize("kind", SMALL)
def test_a_row_without_samples_has_zeros_and_a_batch_without_any_is_refused(kind):
    model = network(kind).train()
    inputs, lengths = sound([5_000, 0, 3_000])
    logits = model(inputs, lengths)
    assert logits[1].abs().sum() == 0
    logits.sum().backward()
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters())
    with pytest.raises(DataError, match="a batch of 3 utterances has no valid frame"):
        model(inputs, torch.zeros_like(lengths))


def test_packing_and_back():
    order, lengths = [2, 0, 1], [4, 3, 3]
    packing = Packing(lengths, order, CPU)
    padded = torch.arange(24.0, dtype=torch.float64).view(3, 4, 2).requires_grad_()
    packed = packing.unpad(padded)
    rows = [padded[row, :length] for row, length in zip(order, lengths)]
    assert torch.equal(packed, torch.cat(rows))
    back = packing.pad(packed, 6)
    assert torch.equal(back[2, :4], padded[2]) and back[0, 3:].abs().sum() == 0
    assert gradcheck(lambda x: packing.pad(packing.unpad(x), 5).sin(), padded)
    assert gradgradcheck(lambda x: packing.pad(packing.unpad(x), 5).sin(), padded)
    expected = pack_padded_sequence(padded[order], torch.tensor(lengths), batch_first=True)
    by_time = ByTime(packing)
    assert by_time.sizes == expected.batch_sizes.tolist()
    assert torch.equal(by_time.order(packed), expected.data)
    assert torch.equal(by_time.undo(by_time.order(packed)), packed)
    assert gradcheck(lambda x: by_time.order(packing.unpad(x)).sin(), padded)


def test_a_recurrent_layer_starts_anew_at_the_end_of_each_utterance():
    layer = drawn(Recurrent(8, LayerNorm(8)))
    x = [torch.randn(n, 8, generator=seeded(n)) for n in (5, 3, 1)]
    by_time = ByTime(Packing([5, 3, 1], [0, 1, 2], CPU))
    made = by_time.undo(layer(by_time.order(torch.cat(x)), torch.tensor(by_time.sizes)))
    alone = [layer.lstm(layer.norm(row)[:, None])[0][:, 0] for row in x]
    assert torch.allclose(made, torch.cat(alone), atol=1e-6)


# ---- norms


def test_a_masked_batch_norm_against_a_formula():
    norm = drawn(MaskedBatchNorm(6)).double()
    x = torch.randn(11, 6, generator=seeded(), dtype=torch.float64) * 3 + 1
    scale, before = 1 + norm.weight, (norm.running_mean.clone(), norm.running_var.clone())
    made = norm.eval()(x)
    assert torch.allclose(made, (x - before[0]) * scale / (before[1] + 1e-3).sqrt() + norm.bias)
    made, mean, variance = norm.train()(x), x.mean(0), x.var(0, correction=0)
    assert torch.allclose(made, (x - mean) * scale / (variance + 1e-3).sqrt() + norm.bias)
    assert torch.allclose(norm.running_mean, 0.999 * before[0] + 0.001 * mean, atol=1e-12)
    assert torch.allclose(norm.running_var, 0.999 * before[1] + 0.001 * variance, atol=1e-12)
    assert gradcheck(norm, x.requires_grad_())


def test_statistics_stay_where_they_are():
    """And their tensors are the same objects, updated or not."""
    workload = ConformerWorkload(make_tiny_spec(), None, {**SMALL[Conformer], "eval_rows": 4})
    drawn(workload.model)
    inputs, lengths = sound(LENGTHS[:2])
    batch = {"inputs": inputs, "input_lengths": lengths}
    places = [buffer.data_ptr() for found in workload.statistics() for buffer in found.values()]
    before = [{k: v.clone() for k, v in found.items()} for found in workload.statistics()]
    assert len(places) == 4
    workload.train()(batch, update_batch_norm=False)
    pairs = zip(before, workload.statistics())
    assert all(torch.equal(old[k], new[k]) for old, new in pairs for k in old)
    workload(batch)
    found = workload.statistics()
    assert not torch.equal(found[0]["running_mean"], before[0]["running_mean"])
    assert places == [buffer.data_ptr() for one in found for buffer in one.values()]


def make_tiny_spec():
    return SimpleNamespace(name="tiny")


# ---- start, roles, dropout


COUNTS = {
    "librispeech_conformer": (32_321_792, 138),
    "librispeech_conformer_attention_temperature": (32_321_792, 138),
    "librispeech_conformer_layernorm": (32_317_696, 130),
    "librispeech_conformer_gelu": (32_321_792, 138),
    "librispeech_deepspeech": (18_393_600, 82),
    "librispeech_deepspeech_tanh": (18_393_600, 82),
    "librispeech_deepspeech_no_resnet": (18_393_600, 82),
    "librispeech_deepspeech_norm_and_spec_aug": (18_392_576, 80),
}


@pytest.mark.parametrize("name", COUNTS)
def test_numbers_of_parameters(name, monkeypatch):
    monkeypatch.setattr("algoperf_pt.config_checks._check_data", lambda config: None)
    config = compose_config([f"workload={name}"])
    with torch.device("meta"):
        parameters = list(make_workload(config, make_spec(config), None).model.parameters())
    assert (sum(p.numel() for p in parameters), len(parameters)) == COUNTS[name]


def test_weights_at_the_start():
    for kind in SMALL:
        model = kind(**SMALL[kind])
        drawn(model, 5)
        model.reset_parameters(seeded())
        for name, values in model.named_parameters():
            bound = values.abs().max().item()
            if ".lstm." in name:
                assert 0.9 * 8**-0.5 < bound <= 8**-0.5, name
            elif values.dim() == 1:
                assert bound == 0, name
            else:
                taps = values[0][0].numel()
                fans = (len(values) + values.shape[1]) * taps
                assert 0.8 * math.sqrt(6 / fans) < bound <= math.sqrt(6 / fans), name
        for module in model.modules():
            if isinstance(module, MaskedBatchNorm):
                assert module.running_mean.abs().sum() == 0 and (module.running_var == 1).all()


def test_roles_that_are_not_those_of_the_layers_class(monkeypatch):
    monkeypatch.setattr("algoperf_pt.config_checks._check_data", lambda config: None)
    workload = ConformerWorkload(make_tiny_spec(), None, SMALL[Conformer])
    types = {name: role.name for name, role in workload.param_types.items()}
    block = "conformers.1."
    assert {types[f"{block}conv.lin{i}.weight"] for i in (1, 2, 3)} == {"CONV_WEIGHT"}
    assert types[f"{block}conv.lin1.bias"] == types["subsample.conv1.bias"] == "BIAS"
    attention = f"{block}mhsa.self_attention."
    assert types[f"{attention}in_proj.weight"] == "ATTENTION_QKV"
    assert types[f"{attention}out_proj.weight"] == "ATTENTION_OUT"
    assert types[f"{attention}out_proj.bias"] == "ATTENTION_BIAS"
    assert types[f"{attention}qs.scale"] == "WEIGHT"
    assert types[f"{block}conv.bn.weight"] == "BATCH_NORM_SCALE"
    assert types[f"{block}ln.scale"] == "LAYER_NORM_SCALE"
    assert set(workload.output_params) <= set(types)


@pytest.mark.parametrize("kind, places", [(Conformer, 1 + 2 * 4), (DeepSpeech, 1 + 2)])
def test_places_of_dropout(kind, places):
    """Each changes the logits by itself, and none in evaluation mode."""
    model = network(kind).train()
    batch, sites = sound(LENGTHS[:2]), [m for m in model.modules() if isinstance(m, nn.Dropout)]
    assert len(sites) == places
    without = model(*batch)
    for site in sites:
        site.p = 0.5
        assert not torch.allclose(model(*batch), without)
        site.p = 0.0
    assert torch.equal(model(*batch), without)


# ---- loss and evaluation


def problem(rows=3):
    """Logits of 6 frames; the last row repeats an id too often for its 3 frames."""
    logits = torch.randn(rows, 6, 5, generator=seeded(), requires_grad=True)
    targets = torch.tensor([[1, 2, 0, 9], [3, 2, 2, 0], [4, 4, 4, 0]], dtype=torch.int32)
    return logits, torch.tensor([6, 5, 3]), targets, torch.tensor([2, 3, 3], dtype=torch.int32)


def test_what_does_not_fit_is_infinite_or_without_weight():
    logits, *rest = problem()
    loss = ctc(logits, *rest)
    assert loss.per_example[:2].isfinite().all() and loss.per_example[2] == math.inf
    assert loss.n_valid == 8
    masked = ctc(logits, *rest, torch.tensor([1.0, 1.0, 0.0]))
    assert masked.per_example.tolist() == [*loss.per_example[:2].tolist(), 0.0]
    assert masked.n_valid == 5 and masked.summed == masked.per_example.sum()
    masked.summed.backward()
    assert logits.grad.isfinite().all()
    assert logits.grad[2].abs().sum() == 0 < logits.grad[0].abs().sum()


def test_no_weight_at_all_counts_as_one_id():
    logits, *rest = problem()
    loss = ctc(logits, *rest, torch.zeros(3))
    assert (loss.summed.item(), loss.n_valid.item()) == (0.0, 1.0)


def test_ctc_against_every_way_to_spell():
    """Two frames, the text `1`: 1-, -1, 11."""
    logits = torch.randn(1, 2, 3, generator=seeded())
    p = logits[0].double().softmax(-1)
    likely = p[0, 1] * p[1, 0] + p[0, 0] * p[1, 1] + p[0, 1] * p[1, 1]
    found = ctc(logits, torch.tensor([2]), torch.tensor([[1]]), torch.tensor([1]))
    assert found.summed.item() == pytest.approx(-likely.log().item(), rel=1e-5)


class Letters:
    def decode(self, rows):
        return ["".join("- abcdefghij"[i] for i in row) for row in rows]


def test_an_evaluation_counts_each_utterance_once_whatever_the_parts():
    found = []
    for rows in (1, 2, 8):
        data = SimpleNamespace(vocabulary=Letters())
        sizes = {**SMALL[Conformer], "eval_rows": rows}
        workload = ConformerWorkload(make_tiny_spec(), data, sizes)
        drawn(workload.model).eval()
        inputs, lengths = sound(LENGTHS[:4])
        targets = torch.full((4, 40), 3, dtype=torch.int32)
        batch = {
            "inputs": inputs,
            "input_lengths": lengths,
            "targets": targets,
            "target_lengths": torch.tensor([3, 2, 40, 4], dtype=torch.int32),  # 40 do not fit
            "weights": torch.tensor([1.0, 1.0, 1.0, 0.0]),
        }
        with torch.no_grad():
            sums = workload.eval_step(batch).sums
        assert {tensor.dtype for tensor in sums.values()} == {torch.float64}
        found.append({name: tensor.item() for name, tensor in sums.items()})
    first = found[0]
    assert all(other == pytest.approx(first, rel=1e-5) for other in found)
    assert (first["tokens"], first["unalignable"]) == (5, 1)
    assert (first["words"], first["plain_words"]) == (9, 3)  # each has two words more
    metrics = workload.metrics("test", first, {})
    assert metrics["wer"] == first["errors"] / 9
    assert metrics["ctc_loss"] == pytest.approx(first["loss"] / 5)
