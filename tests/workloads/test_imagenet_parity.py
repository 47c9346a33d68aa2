"""ImageNet's golden numbers tell a nearly right network from the right one."""

from functools import partial

import pytest
import torch
from torch import nn
from torch.nn.functional import dropout, gelu

from tests.support.parity import compared as parity
from tests.support.parity import modules
from workloads.imagenet import vit, vit_layers
from workloads.imagenet.resnet import Bottleneck


def check(compared, key):
    """One key of case0."""
    found = next(answer for pattern, answer in compared.answers().items() if pattern == key)
    compared.__dict__.pop("eval_logits", None)
    file, _, name = key.partition("/")
    return compared.compare(key, found(), compared.fixture.files[file][name])


SMALL = "case0/small_eval_logits"

# ---- ResNet


@pytest.fixture(scope="module")
def resnet():
    return parity("imagenet_resnet_gelu")


def strides_in_the_1x1(compared, patch):
    for block in modules(compared, Bottleneck):
        if block.conv2.stride == (2, 2):
            patch.setattr(block.conv1, "stride", (2, 2))
            patch.setattr(block.conv2, "stride", (1, 1))


def exact_gelu(compared, patch):
    for module in (compared.workload.model, *modules(compared, Bottleneck)):
        patch.setattr(module, "activation", gelu)


def sum_behind_the_activation(compared, patch):
    def forward(self, x):
        identity = x if self.downsample is None else self.downsample(x)
        y = self.activation(self.bn1(self.conv1(x)))
        y = self.activation(self.bn2(self.conv2(y)))
        return self.activation(self.bn3(self.conv3(y))) + identity

    patch.setattr(Bottleneck, "forward", forward)


def test_the_right_resnet(resnet):
    assert check(resnet, SMALL).ok and check(resnet, "case0/tiny_train_logits").ok


@pytest.mark.parametrize(
    "change", [strides_in_the_1x1, exact_gelu, sum_behind_the_activation], ids=lambda f: f.__name__
)
def test_a_nearly_right_resnet(resnet, monkeypatch, change):
    change(resnet, monkeypatch)
    found = check(resnet, SMALL)
    assert not found.ok and found.error > 5 * found.tolerance.limit


def test_norms_of_another_eps(resnet, monkeypatch):
    for norm in modules(resnet, nn.BatchNorm2d):
        monkeypatch.setattr(norm, "eps", 1e-6)
    assert not check(resnet, "case0/tiny_train_logits").ok
    assert [c.key for c in resnet.model_checks() if not c.ok] == ["params/norms"]


def test_blocks_that_start_otherwise(resnet, monkeypatch):
    monkeypatch.setattr(resnet.workload.model, "last_scale", 1.0)
    (wrong,) = (c for c in resnet.init_checks() if not c.ok)
    assert wrong.key == "init/constants" and wrong.note.endswith("bn3.weight")


# ---- ViT


@pytest.fixture(scope="module")
def transformer():
    return parity("imagenet_vit_map")


def rows_for_columns(compared, patch):
    code = vit_layers.code_of_places

    def swapped(height, width, *rest):
        by_column = code(width, height, *rest).unflatten(1, (width, height))
        return by_column.transpose(1, 2).flatten(1, 2)

    patch.setattr(vit, "code_of_places", swapped)


def exact_gelu_in_blocks(compared, patch):
    patch.setattr(vit_layers, "gelu", lambda x, approximate: gelu(x))


def unscaled_attention(compared, patch):
    attend = partial(vit_layers.scaled_dot_product_attention, scale=0.1)
    patch.setattr(vit_layers, "scaled_dot_product_attention", attend)


def norm_left_out(compared, patch):
    patch.setattr(compared.workload.model.norm, "forward", lambda x: x)


def no_tanh(compared, patch):
    patch.setattr(vit.torch, "tanh", lambda x: x)


def values_before_keys(compared, patch):
    layer = compared.workload.model.pooling.attention.key_value
    right = layer.forward
    patch.setattr(layer, "forward", lambda x: right(x).roll(layer.in_features, -1))


def test_the_right_transformer(transformer):
    assert check(transformer, SMALL).ok


@pytest.mark.parametrize(
    "change",
    [
        rows_for_columns,
        exact_gelu_in_blocks,
        unscaled_attention,
        norm_left_out,
        no_tanh,
        values_before_keys,
    ],
    ids=lambda f: f.__name__,
)
def test_a_nearly_right_transformer(transformer, monkeypatch, change):
    change(transformer, monkeypatch)
    found = check(transformer, SMALL)
    assert not found.ok and found.error > 5 * found.tolerance.limit


def test_layer_norms_of_another_eps(transformer, monkeypatch):
    for norm in modules(transformer, nn.LayerNorm):
        monkeypatch.setattr(norm, "eps", 1e-5)
    assert [c.key for c in transformer.model_checks() if not c.ok] == ["params/norms"]


def test_a_forgotten_and_an_added_dropout(transformer, monkeypatch):
    model = transformer.workload.model
    assert all(c.ok for c in transformer.more_checks())
    with monkeypatch.context() as patch:
        patch.setattr(model.pooling.feed_forward.dropout, "forward", lambda x: x)
        wrong = [c.key for c in transformer.more_checks() if not c.ok]
    assert wrong == ["dropout/count", "dropout/sites"]
    right = model.head.forward
    monkeypatch.setattr(model.head, "forward", lambda x: right(dropout(x, 0.25, model.training)))
    assert [c.key for c in transformer.more_checks() if not c.ok] == wrong


def test_the_reference_types_the_pooling_otherwise(transformer):
    """The one difference of roles, and that it is the only one."""
    entries = transformer.fixture.parameters
    other = [e["name"] for e in entries if transformer.role(e) != e["type"]]
    assert other and all(name.startswith("map.mha.") for name in other)
    assert torch.is_tensor(transformer.tensor("map.probe")) and "map.probe" not in other
