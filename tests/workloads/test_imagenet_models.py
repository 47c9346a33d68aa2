"""ImageNet's networks against formulas written out: blocks, attention, places, dropout, loss."""

import json
import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from algoperf_pt.assemble import make_workload
from algoperf_pt.config import compose_config
from algoperf_pt.errors import ConfigError
from algoperf_pt.roles import ParamType, param_types
from algoperf_pt.spec import make_spec
from tests.support.runs import ROOT
from workloads.image_classification.metrics import cross_entropy
from workloads.imagenet.parity import dropout_sites
from workloads.imagenet.resnet import Bottleneck, ResNet
from workloads.imagenet.vit import ViT
from workloads.imagenet.vit_layers import (
    AttentionPooling,
    EncoderBlock,
    FeedForward,
    SelfAttention,
    code_of_places,
)

CPU = torch.device("cpu")
SMALL_RESNET = {"widths": [4, 8], "depths": [2, 2], "classes": 5}
SMALL_VIT = {"patch": 4, "width": 16, "depth": 2, "heads": 2, "hidden": 24, "classes": 5}


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def random_(module):
    """Every parameter drawn, so that none is 0 or 1 by chance of its start."""
    for number, parameter in enumerate(module.parameters()):
        torch.nn.init.normal_(parameter, 0.0, 0.3, generator=seeded(number))
    return module.double()


def built(name, monkeypatch, *overrides):
    """A workload without its data."""
    monkeypatch.setattr("algoperf_pt.config_checks._check_data", lambda config: None)
    config = compose_config([f"workload={name}", *overrides])
    workload = make_workload(config, make_spec(config), SimpleNamespace())
    workload.reset_parameters(seeded())
    return workload


# ---- ResNet


def test_strides_sit_in_the_3x3_convolutions():
    blocks = [m for m in ResNet(**SMALL_RESNET).modules() if isinstance(m, Bottleneck)]
    strides = [[c.stride[0] for c in (b.conv1, b.conv2, b.conv3)] for b in blocks]
    assert strides == [[1, 1, 1], [1, 1, 1], [1, 2, 1], [1, 1, 1]]
    projected = [b.downsample.conv.stride[0] if b.downsample else None for b in blocks]
    assert projected == [1, None, 2, None]


def test_sizes_are_halved_where_they_should_be():
    model, seen = ResNet(widths=[4, 4, 4, 4], depths=[1, 1, 1, 1], classes=5), []
    for layer in (model.conv1, model.layer1, model.layer2, model.layer3, model.layer4):
        layer.register_forward_hook(lambda m, i, output: seen.append(tuple(output.shape[1:])))
    assert model(torch.rand(2, 3, 64, 96)).shape == (2, 5)
    assert seen == [(4, 32, 48), (16, 16, 24), (16, 8, 12), (16, 4, 6), (16, 2, 3)]


@pytest.mark.parametrize(
    "name, function",
    [
        ("relu", lambda x: x.clamp(min=0)),
        ("silu", lambda x: x / (1 + torch.exp(-x))),
        ("gelu_tanh", lambda x: x / 2 * (1 + torch.tanh(0.7978845608 * (x + 0.044715 * x**3)))),
    ],
)
def test_a_block_is_its_formula(name, function):
    model = random_(ResNet(activation=name, **SMALL_RESNET)).eval()
    block = model.layer2[0]
    x = torch.randn(2, 16, 6, 6, generator=seeded()).double()

    def conv_norm(y, conv, norm, stride=1):
        y = functional.conv2d(y, conv.weight, None, stride, conv.kernel_size[0] // 2)
        scale = norm.weight / torch.sqrt(norm.running_var + 1e-5)
        return y * scale[:, None, None] + norm.bias[:, None, None]

    y = function(conv_norm(x, block.conv1, block.bn1))
    y = function(conv_norm(y, block.conv2, block.bn2, stride=2))
    y = conv_norm(y, block.conv3, block.bn3)
    y = function(y + conv_norm(x, block.downsample.conv, block.downsample.bn, stride=2))
    assert torch.allclose(block(x), y, rtol=1e-6)  # the formula's constant has ten digits
    stem = conv_norm(torch.ones(1, 3, 8, 8).double(), model.conv1, model.bn1, stride=2)
    wanted = functional.max_pool2d(function(stem), 3, 2, 1)
    assert torch.allclose(model.stem(torch.ones(1, 3, 8, 8).double()), wanted, rtol=1e-6)


@pytest.mark.parametrize("scale", [0.0, 8.0])
def test_the_last_scale_of_each_block_starts_as_told(scale):
    model = ResNet(bn_init_scale=scale, **SMALL_RESNET)
    model.reset_parameters(seeded())
    for block in (m for m in model.modules() if isinstance(m, Bottleneck)):
        assert (block.bn3.weight == scale).all() and (block.bn2.weight == 1).all()
    x = torch.rand(2, 16, 6, 6)
    same = torch.equal(model.layer1[1].eval()(x), x)  # not negative, so ReLU keeps it
    assert same == (scale == 0.0)


def test_an_unknown_activation_is_named():
    with pytest.raises(ConfigError, match="gelu_tanh"):
        ResNet(activation="gelu", **SMALL_RESNET)


@pytest.mark.parametrize("name", ["imagenet_resnet_tiny", "cifar_tiny"])
def test_statistics_can_be_left_alone_and_return_to_their_first_state(name, monkeypatch):
    workload = built(name, monkeypatch).train()
    batch = {"inputs": torch.rand(4, 3, 32, 32)}

    def moved():
        return {
            key
            for key, value in workload.model.state_dict().items()
            if "running_" in key and not torch.equal(value, first[key])
        }

    first = {key: value.clone() for key, value in workload.model.state_dict().items()}
    frozen = workload(batch, update_batch_norm=False)
    assert not moved()
    assert torch.equal(workload(batch), frozen)  # the same statistics of the batch normalise
    assert moved() == {key for key in first if "running_" in key}
    workload.reset_parameters(seeded())
    again = workload.model.state_dict()
    assert again.keys() == first.keys() and all(torch.equal(again[k], first[k]) for k in first)


# ---- ViT: parts


def heads_by_hand(q, k, v, heads):
    """softmax(q k^T / sqrt(d)) v, written out, [B, Q, D]."""
    found, d = [], q.shape[-1] // heads
    for head in range(heads):
        part = slice(head * d, (head + 1) * d)
        scores = q[..., part] @ k[..., part].transpose(1, 2) / math.sqrt(d)
        found.append(torch.softmax(scores, -1) @ v[..., part])
    return torch.cat(found, -1)


def test_attention_is_its_formula():
    layer = random_(SelfAttention(16, 4, 0.0)).eval()
    x = torch.randn(2, 5, 16, generator=seeded()).double()
    mixed = heads_by_hand(layer.query(x), layer.key(x), layer.value(x), 4)
    assert torch.allclose(layer(x), layer.out(mixed))


def test_the_gate_is_fed_the_activated_values():
    layer = random_(FeedForward(8, 12, glu=True, dropout=0.0))
    x = torch.randn(2, 5, 8, generator=seeded()).double()
    h = functional.gelu(layer.linear1(x), approximate="tanh")
    assert torch.allclose(layer(x), layer.linear2(h * layer.gate(h)))
    plain = random_(FeedForward(8, 12, glu=False, dropout=0.0))
    h = functional.gelu(plain.linear1(x), approximate="tanh")
    assert torch.allclose(plain(x), plain.linear2(h))


@pytest.mark.parametrize("pre_norm", [True, False])
def test_where_the_norms_of_a_block_stand(pre_norm):
    block = random_(EncoderBlock(8, 2, 12, glu=False, pre_norm=pre_norm, dropout=0.0)).eval()
    x = torch.randn(2, 5, 8, generator=seeded()).double()

    def norm(y, layer):
        deviation = torch.sqrt(y.var(-1, correction=0, keepdim=True) + 1e-6)
        return (y - y.mean(-1, keepdim=True)) / deviation * layer.weight + layer.bias

    if pre_norm:
        y = x + block.attention(norm(x, block.norm1))
        wanted = y + block.feed_forward(norm(y, block.norm2))
    else:
        y = norm(x + block.attention(x), block.norm1)
        wanted = norm(y + block.feed_forward(y), block.norm2)
    assert torch.allclose(block(x), wanted)


def test_pooling_by_attention_is_its_formula():
    pooling = random_(AttentionPooling(8, 2, 12, dropout=0.0)).eval()
    x = torch.randn(3, 5, 8, generator=seeded()).double()
    joint = pooling.attention.key_value
    key = x @ joint.weight[:8].T + joint.bias[:8]  # keys first
    value = x @ joint.weight[8:].T + joint.bias[8:]
    query = pooling.attention.query(pooling.probe).expand(3, -1, -1)
    z = pooling.attention.out(heads_by_hand(query, key, value, 2))
    wanted = z + pooling.feed_forward(pooling.norm(z))
    assert torch.allclose(pooling(x), wanted[:, 0])


def test_the_code_of_places():
    code = code_of_places(2, 3, 8, CPU, torch.float32)
    assert code.shape == (1, 6, 8) and code.dtype == torch.float32
    omega = 10_000.0 ** -np.array([0.0, 1.0])
    for y in range(2):
        for x in range(3):
            parts = (np.sin(x * omega), np.cos(x * omega), np.sin(y * omega), np.cos(y * omega))
            assert np.allclose(code[0, 3 * y + x], np.concatenate(parts), atol=1e-7)
    assert code_of_places(2, 3, 8, CPU, torch.float32) is code  # made once
    assert code_of_places(3, 2, 8, CPU, torch.float32) is not code


# ---- ViT: the whole


@pytest.mark.parametrize("change", [{}, {"glu": True}, {"pre_norm": False}, {"pooling": "map"}])
def test_a_vit_takes_pictures_of_any_size_and_starts_at_zero(change):
    model = ViT(**SMALL_VIT, **change)
    model.reset_parameters(seeded())
    assert torch.equal(model(torch.rand(2, 3, 12, 20)), torch.zeros(2, 5))
    assert not any("code" in key for key in model.state_dict())
    assert [key for key, _ in model.named_buffers()] == []
    torch.nn.init.normal_(model.head.weight, generator=seeded())
    wide, tall = torch.rand(2, 3, 12, 20), torch.rand(2, 3, 20, 12)
    for images in (wide, tall):
        found = model(images)
        assert found.shape == (2, 5) and found.abs().sum() > 0
        by_row = images.contiguous(memory_format=torch.channels_last)
        assert torch.allclose(model(by_row), found, atol=1e-6)


def test_roles_of_attention():
    types = param_types(ViT(**SMALL_VIT, pooling="map"))
    role = ParamType
    wanted = {
        "blocks.0.attention.query.weight": role.ATTENTION_Q,
        "blocks.0.attention.key.weight": role.ATTENTION_K,
        "blocks.0.attention.value.weight": role.ATTENTION_V,
        "blocks.0.attention.out.weight": role.ATTENTION_OUT,
        "blocks.1.attention.key.bias": role.ATTENTION_BIAS,
        "pooling.attention.query.weight": role.ATTENTION_Q,
        "pooling.attention.key_value.weight": role.ATTENTION_KV,
        "pooling.attention.out.bias": role.ATTENTION_BIAS,
        "pooling.probe": role.WEIGHT,
        "pooling.norm.weight": role.LAYER_NORM_SCALE,
        "blocks.0.feed_forward.linear1.weight": role.WEIGHT,
        "patches.weight": role.CONV_WEIGHT,
        "patches.bias": role.BIAS,
        "head.weight": role.WEIGHT,
    }
    assert {name: types[name] for name in wanted} == wanted


@pytest.mark.parametrize(
    "change, message", [({"width": 18}, "width=18"), ({"heads": 3}, "heads=3")]
)
def test_widths_that_do_not_fit_are_named(change, message):
    with pytest.raises(ConfigError, match=message):
        ViT(**{**SMALL_VIT, **change})


def test_an_unknown_pooling_is_named():
    with pytest.raises(ConfigError, match="mean or map"):
        ViT(**SMALL_VIT, pooling="max")


# ---- dropout


@pytest.mark.parametrize("name", ["vit", "vit_glu", "vit_post_ln", "vit_map"])
def test_values_are_dropped_where_the_reference_drops_them(name, monkeypatch):
    wanted = json.loads((ROOT / "tests/golden" / f"imagenet_{name}" / "dropout.json").read_text())
    workload = built(f"imagenet_{name}", monkeypatch).train()
    batch = {"inputs": torch.zeros(wanted["input"])}
    found = dropout_sites(workload, batch, wanted["rate"])
    assert found == [(site["kind"], site["shape"], site["p"]) for site in wanted["sites"]]
    assert dropout_sites(workload, batch, None) == []  # the workload's own rate is 0
    assert dropout_sites(workload.eval(), batch, wanted["rate"]) == []


def test_a_rate_drops_values_in_that_call_alone(monkeypatch):
    sizes = [f"workload.model.{key}={value}" for key, value in SMALL_VIT.items()]
    workload = built("imagenet_vit", monkeypatch, *sizes).train()
    torch.nn.init.normal_(workload.model.head.weight, generator=seeded())
    batch = {"inputs": torch.rand(2, 3, 12, 12)}
    plain = workload(batch)
    assert not torch.allclose(workload(batch, dropout_rate=0.5), plain, atol=1e-3)
    assert torch.equal(workload(batch), plain)
    assert torch.equal(workload(batch, dropout_rate=0.0), plain)
    workload.eval()
    assert torch.allclose(workload(batch, dropout_rate=0.5), plain, atol=1e-6)


# ---- compiled


@pytest.mark.parametrize("name", ["imagenet_resnet_tiny", "imagenet_vit_tiny"])
def test_a_compiled_network_computes_the_same(name, monkeypatch):
    """Outputs and gradients in both modes, the statistics flag, and a rate given per call."""
    eager, compiled = (built(name, monkeypatch).train() for _ in range(2))
    if name == "imagenet_vit_tiny":
        for workload in (eager, compiled):
            torch.nn.init.normal_(workload.model.head.weight, generator=seeded())
    torch._dynamo.reset()
    compiled.model.compile(backend="aot_eager", fullgraph=True, dynamic=False)
    batch = {"inputs": torch.rand(4, 3, 32, 32, generator=seeded())}
    for arguments in ({}, {"update_batch_norm": False}, {"dropout_rate": 0.0}):
        found = [workload(batch, **arguments) for workload in (eager, compiled)]
        assert torch.allclose(*found, atol=1e-5), arguments
        for logits, workload in zip(found, (eager, compiled)):
            workload.zero_grad()
            logits.square().sum().backward()
        for key, parameter in eager.model.named_parameters():
            other = compiled.model.get_parameter(key)
            assert torch.allclose(parameter.grad, other.grad, rtol=1e-3, atol=1e-4), key
        for key, value in eager.model.state_dict().items():
            assert torch.allclose(value, compiled.model.state_dict()[key], atol=1e-6), key
    with torch.no_grad():
        found = [workload.eval()(batch) for workload in (eager, compiled)]
    assert torch.allclose(*found, atol=1e-5)
    if name == "imagenet_vit_tiny":
        dropped = compiled.train()(batch, dropout_rate=0.5)
        assert not torch.allclose(dropped, found[0], atol=1e-3)


# ---- the loss


def entropy(logits, probabilities):
    logits = logits.double().numpy()
    shifted = logits - logits.max(-1, keepdims=True)
    log_softmax = shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))
    return -(probabilities * log_softmax).sum(-1)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_whole_and_mixed_labels_have_one_loss(smoothing):
    logits = 5 * torch.randn(6, 7, generator=seeded())
    classes = torch.tensor([0, 6, 3, 3, 1, 5])
    weights = torch.tensor([1.0, 1.0, 0.0, 1.0, 1.0, 0.0])
    dense = functional.one_hot(classes, 7).float()
    mixed = 0.3 * dense + 0.7 * dense.roll(1, 0)
    for targets, labels in ((classes, dense), (dense, dense), (mixed, mixed)):
        smooth = labels.numpy() * (1 - smoothing) + smoothing / 7
        loss = cross_entropy(logits, targets, weights, smoothing)
        wanted = entropy(logits, smooth) * weights.numpy()
        assert loss.per_example.numpy() == pytest.approx(wanted, rel=1e-5)
        assert float(loss.summed) == pytest.approx(wanted.sum(), rel=1e-5)
        assert loss.n_valid == 4
        assert cross_entropy(logits, targets, None, smoothing).n_valid == 6


def test_whole_labels_make_no_matrix_of_labels():
    class Made(TorchDispatchMode):
        sizes = []

        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            out = func(*args, **(kwargs or {}))
            made = [t for t in tree_leaves(out) if isinstance(t, torch.Tensor)]
            self.sizes += [t.numel() for t in made if not t.is_floating_point()]
            return out

    with Made() as made:
        cross_entropy(torch.rand(8, 1000), torch.arange(8), torch.ones(8))
    assert max(made.sizes, default=0) <= 8
