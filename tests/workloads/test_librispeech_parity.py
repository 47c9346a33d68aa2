"""The golden numbers tell LibriSpeech's models that are nearly right from the right ones."""

import pytest
import torch
from torch import nn

from tests.support.parity import compared, failed, modules
from workloads.librispeech import (
    blocks,
    deepspeech,
    frontend,
    masked_norm,
    shared_parity,
    subsampler,
)

LOGITS = r"case0/logits(_first2000|_stride37)?"
CONFORMER, DEEPSPEECH = "librispeech_conformer", "librispeech_deepspeech"


def test_the_right_one_passes():
    """scripts/parity.py compares all of every fixture, see tests/scripts/test_parity.py."""
    most = f"{LOGITS}|case0/(loss|inter|greedy).*|(preprocess|metrics)/.*"
    assert not failed(compared(CONFORMER), most)


def test_larger_logits_than_all_of_theirs_are_seen():
    nearly = compared(CONFORMER)
    nearly.eval_logits = 2 * nearly.eval_logits
    assert "case0/logits_sum_abssum_std" in failed(nearly, "case0/logits.*")


# ---- norms


@pytest.mark.parametrize("constant", ["_LAYER_EPS", "_BATCH_EPS"])
def test_another_eps(constant, monkeypatch):
    """That of layer norms changes logits by 6e-5: more than the Conformer's tolerance."""
    monkeypatch.setattr(masked_norm, constant, 1e-5)
    assert failed(compared(CONFORMER), LOGITS)


def test_a_scale_that_is_not_added_to_1(monkeypatch):
    right = masked_norm.layer_norm
    monkeypatch.setattr(
        masked_norm, "layer_norm", lambda x, shape, scale, *rest: right(x, shape, scale - 1, *rest)
    )
    assert failed(compared(CONFORMER), LOGITS)


def test_an_unbiased_running_variance(monkeypatch):
    right = masked_norm.global_moments

    def nearly(x):
        mean, variance = right(x)
        return mean, variance * len(x) / (len(x) - 1)

    monkeypatch.setattr(masked_norm, "global_moments", nearly)
    assert "case0/bn_batchstat_norm" in failed(compared(CONFORMER), "case0/bn_.*")


def test_statistics_of_padding_too(monkeypatch):
    """As an ordinary batch norm over padded rows would have them."""
    right = masked_norm.global_moments
    monkeypatch.setattr(
        masked_norm, "global_moments", lambda x: right(torch.cat([x, 0 * x[: len(x) // 3]]))
    )
    statistics = {"case0/bn_norm_after", "case0/bn_batchstat_norm"}
    assert failed(compared(CONFORMER), "case0/bn_.*") >= statistics


# ---- subsampling and front-end


def test_zeros_on_the_other_side(monkeypatch):
    monkeypatch.setattr(subsampler, "_same", lambda n: (1, 1) if n % 2 else (1, 0))
    assert failed(compared(CONFORMER), LOGITS)


def test_channels_before_frequencies():
    nearly = compared(CONFORMER)
    weight = nearly.fill().model.subsample.linear.weight
    with torch.no_grad():
        weight.copy_(weight.view(512, 20, 512).transpose(1, 2).reshape(512, -1))
    nearly.fill = lambda: nearly.workload
    assert failed(nearly, LOGITS)


def test_frames_of_padding_that_the_convolutions_do_not_see(monkeypatch):
    monkeypatch.setattr("workloads.librispeech.lengths._LOOK_AHEAD", 0)
    wrong = failed(compared(DEEPSPEECH), "padlen/.*first2000")
    assert {"padlen/valid_logits_34321_first2000", "padlen/valid_logits_34001_first2000"} & wrong


OTHER = [("_FLOOR", 1e-6), ("_LOWEST", 130.0), ("_EMPHASIS", 0.95)]


@pytest.mark.parametrize("constant, value", OTHER)
def test_other_constants_of_the_front_end(constant, value, monkeypatch):
    monkeypatch.setattr(frontend, constant, value)
    wrong = failed(compared(CONFORMER), "preprocess/.*")
    assert wrong & {"preprocess/features", "preprocess/features_row1_first12"}


# ---- the Conformer


def test_the_two_forms_of_gelu_exchanged(monkeypatch):
    right = blocks.gelu
    other = {"tanh": "none", "none": "tanh"}
    monkeypatch.setattr(
        blocks, "gelu", lambda x, approximate="none": right(x, approximate=other[approximate])
    )
    assert failed(compared(f"{CONFORMER}_gelu"), LOGITS)


def test_a_temperature_inside_the_softmax():
    nearly = compared(f"{CONFORMER}_attention_temperature")
    for attention in modules(nearly, blocks.SelfAttention):
        attention.temperature = 1.0
    assert failed(nearly, LOGITS)


def test_positions_that_are_interleaved(monkeypatch):
    right = blocks.position_code

    def nearly(*sizes):
        code = right(*sizes)
        return torch.stack(code.chunk(2, 1), 2).flatten(1)

    monkeypatch.setattr("workloads.librispeech.conformer.position_code", nearly)
    assert failed(compared(CONFORMER), LOGITS)


def test_attention_to_padding(monkeypatch):
    monkeypatch.setattr("workloads.librispeech.packing.Packing.key_mask", lambda self: None)
    assert failed(compared(CONFORMER), LOGITS)


def test_a_norm_too_many():
    nearly = compared(f"{CONFORMER}_layernorm")
    for block in nearly.workload.model.conformers:
        block.ln = nn.LayerNorm(512)
    assert failed(nearly, LOGITS)


# ---- DeepSpeech


@pytest.mark.parametrize("variant", ["", "_no_resnet"])
def test_residuals_the_other_way_round(variant):
    nearly = compared(DEEPSPEECH + variant)
    nearly.workload.model.residual = bool(variant)
    assert failed(nearly, LOGITS)


def test_tanh_in_the_convolutions_alone():
    nearly = compared(f"{DEEPSPEECH}_tanh")
    for layer in nearly.workload.model.ffns:
        layer.tanh = False
    assert failed(nearly, LOGITS)


def test_a_backward_direction_that_starts_in_the_padding(monkeypatch):
    """All utterances as long as the longest, by zeros."""
    right = deepspeech.Recurrent.forward
    lengths = [27, 15]

    def nearly(self, x, sizes):
        padded = x.new_zeros(27, 2, x.shape[1])
        places = [(t, row) for t in range(27) for row in range(2) if t < lengths[row]]
        times, rows = (torch.tensor(found) for found in zip(*places))
        padded[times, rows] = x
        made = right(self, padded.flatten(0, 1), torch.full((27,), 2))
        return made.view(27, 2, -1)[times, rows]

    monkeypatch.setattr(deepspeech.Recurrent, "forward", nearly)
    assert failed(compared(f"{DEEPSPEECH}_norm_and_spec_aug"), LOGITS)


# ---- shared parts


def test_words_by_the_usual_rule(monkeypatch):
    right = shared_parity.wer_sums

    def plain(found, wanted):
        sums = right(found, wanted)
        return sums | {"errors": sums["plain_errors"], "words": sums["plain_words"]}

    monkeypatch.setattr(shared_parity, "wer_sums", plain)
    wrong = {check.key for check in compared(CONFORMER).more_checks() if not check.ok}
    assert wrong == {"wer/ref_word_errors", "wer/ref_num_words", "wer/ref_total"}


def test_masks_of_an_utterance_that_is_a_frame_longer(monkeypatch):
    right = shared_parity.specaugment.time_masks
    monkeypatch.setattr(
        shared_parity.specaugment,
        "time_masks",
        lambda width, start, frames, ratio: right(width, start, frames + 1, ratio),
    )
    assert "specaug/default_time_keep" in failed(compared(CONFORMER), "specaug/.*keep")


def test_a_role_that_differs():
    nearly = compared(CONFORMER)
    for block in nearly.workload.model.conformers:
        block.conv.lin1.param_roles = None
    nearly.workload.param_types = {
        name: role if "conv.lin1.weight" not in name else nearly.workload.param_types["lin.weight"]
        for name, role in nearly.workload.param_types.items()
    }
    (roles,) = [check for check in nearly.model_checks() if check.key == "params/roles"]
    assert roles.error == 4 and "is WEIGHT, not CONV_WEIGHT" in roles.note
