"""LibriSpeech from samples to frames of 40 ms: log-mel, masks, the two convolutions in pieces."""

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck
from torch.nn.functional import conv2d

from tests.support.speech import LENGTHS, drawn, network, seeded, sound
from workloads.librispeech import convolutions
from workloads.librispeech.frontend import LogMel, apply_masks, mel_matrix
from workloads.librispeech.lengths import frames
from workloads.librispeech.subsampler import Subsampler

# ---- front-end


def test_log_mel_against_a_formula_in_float64():
    inputs, lengths = sound([3_000, 2_000], 3_200)
    found = LogMel()(inputs, lengths)
    assert found.shape == (2, frames(3_200), 80)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400)
    for row, number in ((0, 0), (0, 17), (1, 3), (1, 12)):
        samples = inputs[row].numpy().astype(float) / 2**15
        samples[lengths[row] :] = 0.0
        frame = samples[160 * number : 160 * number + 400]
        emphasised = np.append(0.03 * frame[0], frame[1:] - 0.97 * frame[:-1])
        power = np.abs(np.fft.rfft(emphasised * window, 512)) ** 2
        energy = np.log(np.maximum(power @ mel_matrix(), 1e-5))
        wanted = (energy - LogMel().means.numpy()) / LogMel().deviations.numpy()
        assert np.abs(found[row, number].numpy() - wanted).max() < 2e-4


def test_masks_hide_what_they_say_in_training_alone():
    features = torch.ones(2, 6, 5)
    times = torch.tensor([[[1, 2], [0, 0]], [[4, 9], [0, 0]]], dtype=torch.int16)
    bins = torch.tensor([[[0, 0]], [[3, 1]]], dtype=torch.int16)
    seen = apply_masks(features, times, bins)
    assert (seen[0] == 0).all(1).tolist() == [False, True, True, False, False, False]
    assert seen[1].sum(0).tolist() == [4, 4, 4, 0, 4]
    model, batch = network(), sound(LENGTHS[:2])
    masks = {"time_masks": times, "frequency_masks": bins}
    assert torch.equal(model(*batch, **masks), model(*batch))
    model.train()
    assert not torch.equal(model(*batch, **masks), model(*batch))


# ---- subsampling


@pytest.mark.parametrize("tanh", [False, True])
def test_subsampling_against_a_formula(tanh):
    """Zeros as TensorFlow has them, a mask behind each convolution, frequencies before channels."""
    made = drawn(Subsampler(80, 8, tanh)).double()
    features = torch.randn(2, 26, 80, generator=seeded(), dtype=torch.float64)
    act, counts = (torch.tanh if tanh else torch.relu), torch.tensor([26, 11])
    x = torch.nn.functional.pad(features[:, None], (0, 1, 0, 1))  # 26 and 80: even
    x = act(conv2d(x, made.conv1.weight, made.conv1.bias, 2))
    x[1, :, 6:] = 0
    x = torch.nn.functional.pad(x, (0, 1, 1, 1))  # 13: odd; 40: even
    x = act(conv2d(x, made.conv2.weight, made.conv2.bias, 2))
    wanted = made.linear(x.permute(0, 2, 3, 1).reshape(2, 7, -1))
    found = made(features, counts)
    assert torch.allclose(found[0], wanted[0]) and torch.allclose(found[1, :3], wanted[1, :3])


@pytest.mark.parametrize("budget", [2**30, 3_000, 1])
def test_gradients_of_the_subsampling_and_their_gradients(budget, monkeypatch):
    """Whole, in rows, and in single frames."""
    monkeypatch.setattr(convolutions, "_PIECE", {"cpu": budget})
    made = drawn(Subsampler(7, 2, tanh=True)).double()
    features = torch.randn(2, 10, 7, generator=seeded(), dtype=torch.float64)
    names = [name for name, _ in made.named_parameters()]

    def output(*parameters):
        inputs = (features, torch.tensor([10, 5]))
        return torch.func.functional_call(made, dict(zip(names, parameters)), inputs)

    parameters = tuple(p.detach().requires_grad_() for p in made.parameters())
    assert gradcheck(output, parameters)
    assert gradgradcheck(output, parameters)


@pytest.mark.parametrize("tanh", [False, True])
def test_pieces_and_products_change_nothing(tanh, monkeypatch):
    """As on other devices: the weights' gradient by a convolution."""
    found = []
    for budget, by_products in ((2**30, True), (40_000, True), (1, True), (40_000, False)):
        monkeypatch.setattr(convolutions, "_PIECE", {"cpu": budget})
        made, right = drawn(Subsampler(80, 8, tanh)), convolutions._WeightGradient

        def gradient(weight, by_products=by_products):
            made = right(weight)
            if not by_products:
                made.by_products, made.sums = False, torch.zeros_like(weight)
            return made

        monkeypatch.setattr(convolutions, "_WeightGradient", gradient)
        x = torch.randn(3, 30, 80, generator=seeded())
        output = made(x, torch.tensor([30, 29, 8]))
        output.square().sum().backward()
        found.append([output.detach(), *(p.grad for p in made.parameters())])
        monkeypatch.setattr(convolutions, "_WeightGradient", right)
    for others in found[1:]:
        pairs = zip(found[0], others)
        assert all(torch.allclose(a, b, rtol=1e-4, atol=1e-6 * a.abs().max()) for a, b in pairs)


@pytest.mark.parametrize("budget, rows, times", [(2**30, 1, 1), (30_000, 3, 1), (10_000, 3, 3)])
def test_what_lies_between_the_convolutions_is_bounded_and_not_kept(
    budget, rows, times, monkeypatch
):
    monkeypatch.setattr(convolutions, "_PIECE", {"cpu": budget})
    sizes, kept, right = [], [], convolutions._between
    note = lambda *a: (sizes.append(a[0].shape[:2]), right(*a))[1]  # noqa: E731
    monkeypatch.setattr(convolutions, "_between", note)
    made = drawn(Subsampler(80, 8, False))
    with torch.autograd.graph.saved_tensors_hooks(lambda x: (kept.append(x), x)[1], lambda x: x):
        output = made(torch.zeros(3, 30, 80), torch.tensor([30, 30, 30]))
    assert len(sizes) == rows * times
    assert 3 * 17 * 41 * 8 not in {x.numel() for x in kept} and len(kept) < 10
    output.sum().backward()
    assert len(sizes) == 2 * rows * times  # made once more
