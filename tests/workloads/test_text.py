"""The tokens' cross entropy against torch's, with first and second derivatives."""

import pytest
import torch
from torch.nn.functional import cross_entropy

from workloads.text.cross_entropy import token_cross_entropy


def example(dtype=torch.float64):
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(3, 5, 11, generator=generator, dtype=dtype) * 3
    targets = torch.randint(11, (3, 5), generator=generator)
    weights = (torch.rand(3, 5, generator=generator) > 0.3).float()
    return logits.requires_grad_(), targets, weights


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_values_and_gradients_are_those_of_torch(smoothing):
    logits, targets, weights = example()
    loss = token_cross_entropy(logits, targets, weights, smoothing)
    known = cross_entropy(
        logits.flatten(0, 1), targets.flatten(), reduction="none", label_smoothing=smoothing
    ).reshape(3, 5)
    assert torch.allclose(loss.per_example, known * weights)
    assert loss.n_valid == weights.sum() and torch.allclose(loss.summed, (known * weights).sum())
    sums = (loss.summed, (known * weights).sum())
    ours, theirs = (torch.autograd.grad(value, logits)[0] for value in sums)
    assert torch.allclose(ours, theirs)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_second_derivatives(smoothing):
    logits, targets, _ = example()

    def loss(values):
        return token_cross_entropy(values, targets, None, smoothing).per_example

    assert torch.autograd.gradcheck(loss, logits)
    assert torch.autograd.gradgradcheck(loss, logits)


def test_without_weights_every_position_counts():
    logits, targets, weights = example(torch.float32)
    loss = token_cross_entropy(logits, targets, None)
    assert loss.n_valid == 15 and loss.per_example.shape == (3, 5)
    masked = token_cross_entropy(logits, targets, weights)
    assert (masked.per_example[weights == 0] == 0).all()


def test_a_model_trained_with_it_can_be_compiled():
    logits, targets, weights = example(torch.float32)
    compiled = torch.compile(token_cross_entropy, backend="aot_eager")
    plain = token_cross_entropy(logits, targets, weights, 0.1).summed
    found = compiled(logits, targets, weights, 0.1).summed
    assert torch.allclose(found, plain)
    ours, theirs = (torch.autograd.grad(v, logits)[0] for v in (found, plain))
    assert torch.allclose(ours, theirs, atol=1e-6)
