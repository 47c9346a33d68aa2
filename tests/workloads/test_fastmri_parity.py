"""The golden numbers tell a network or a transform that is nearly right from the right one."""

import numpy as np
import pytest
import torch
from torch import nn

from tests.support.parity import compared, failed, modules
from workloads.fastmri import kspace, model, parity, ssim
from workloads.fastmri.masks import MaskRule
from workloads.fastmri.model import InstanceNorm, UNet

SMALL = r"case0/(small_|tiny_)(eval_out|train_.*)"


def test_the_right_one_passes():
    assert not failed(compared("fastmri"), f"{SMALL}|metrics/.*|preprocess/(small|uniform|eval).*")


def test_another_eps_is_seen_where_images_are_faint():
    nearly = compared("fastmri")
    for norm in modules(nearly, InstanceNorm):
        norm.eps = 1e-6
    assert "case0/tiny_eval_out" in failed(nearly, SMALL)
    assert any(check.key == "params/norms" and not check.ok for check in nearly.model_checks())


def test_another_eps_of_the_variant():
    nearly = compared("fastmri_layernorm")
    for norm in modules(nearly, nn.GroupNorm):
        norm.eps = 1e-5
    assert "case0/tiny_eval_out" in failed(nearly, SMALL)


def test_instance_norms_that_should_be_layer_norms():
    nearly = compared("fastmri_layernorm")
    for norm in modules(nearly, nn.GroupNorm):
        norm.num_groups = norm.num_channels
    assert "case0/small_eval_out" in failed(nearly, SMALL)


def test_another_slope():
    nearly = compared("fastmri")
    for act in modules(nearly, nn.LeakyReLU):
        act.negative_slope = 0.21
    assert "case0/small_eval_out" in failed(nearly, SMALL)


def test_tanh_everywhere_but_where_images_are_enlarged():
    nearly = compared("fastmri_tanh")
    for block in nearly.workload.model.up_transpose_conv:
        block.layers[2] = nn.LeakyReLU(0.2)
    assert "case0/small_eval_out" in failed(nearly, SMALL)


def test_the_order_of_what_is_joined(monkeypatch):
    join = torch.cat
    monkeypatch.setattr(model.torch, "cat", lambda parts, dim: join(parts[::-1], dim=dim))
    assert "case0/small_eval_out" in failed(compared("fastmri"), SMALL)


def test_zeros_in_place_of_a_mirror(monkeypatch):
    pad = model.pad
    monkeypatch.setattr(model, "pad", lambda x, sizes, mode: pad(x, sizes))
    assert "case0/small_eval_out" in failed(compared("fastmri"), SMALL)


def test_maxima_in_place_of_means():
    nearly = compared("fastmri")
    nearly.workload.model.pool = nn.MaxPool2d(2)
    assert "case0/small_eval_out" in failed(nearly, SMALL)


def test_the_other_fan_in_of_transposed_convolutions(monkeypatch):
    right = UNet.reset_parameters

    def halved(self, generator):
        right(self, generator)
        for module in self.modules():
            if isinstance(module, nn.ConvTranspose2d):
                module.weight.data /= 2**0.5

    monkeypatch.setattr(UNet, "reset_parameters", halved)
    wrong = {check.key: check.note for check in compared("fastmri").init_checks() if not check.ok}
    assert "up_transpose_conv" in wrong["init/std"]


def test_dropout_of_single_pixels_and_one_place_too_few():
    nearly = compared("fastmri")
    blocks = nearly.workload.model.down_sample_layers
    blocks[1].conv_layers[3] = nn.Dropout(0.0)
    nearly.workload._dropouts = modules(nearly, nn.modules.dropout._DropoutNd)
    wrong = {check.key: check.note for check in nearly.more_checks() if not check.ok}
    assert wrong == {"dropout/kinds": "site 2"}
    blocks[1].conv_layers[3] = nn.Identity()
    nearly.workload._dropouts = modules(nearly, nn.modules.dropout._DropoutNd)
    assert "dropout/sites" in {check.key for check in nearly.more_checks() if not check.ok}


def test_a_role_that_differs():
    nearly = compared("fastmri_layernorm")
    nearly.role = lambda entry: entry["type"]  # as the reference has it
    (roles,) = [check for check in nearly.model_checks() if check.key == "params/roles"]
    assert roles.error == 36 and "is LAYER_NORM_SCALE, not CONV_WEIGHT" in roles.note


class Rounded(MaskRule):
    """As the fastMRI project itself has it."""

    def middle(self, widths):
        return np.round(widths * self.center_fraction).astype(np.int64)


def test_rounding_the_middle(monkeypatch):
    rule = property(lambda self: Rounded(0.08, 4))
    monkeypatch.setattr(parity.FastmriParity, "rule", rule)
    wrong = failed(compared("fastmri"), "preprocess/(small.*|eval_masks)")
    assert "preprocess/eval_masks" in wrong


def test_a_sample_standard_deviation(monkeypatch):
    right = kspace.normalised

    def nearly(images, targets, limit):
        count = images[0].numel()
        made = right(images.clone(), targets, limit)
        return made | {"std": made["std"] * (count / (count - 1)) ** 0.5}

    monkeypatch.setattr(parity, "normalised", nearly)
    wanted = {"preprocess/small0_out_std", "preprocess/small1_out_std"}
    assert failed(compared("fastmri"), "preprocess/small.*") == wanted


def test_an_image_that_is_cropped_a_pixel_further(monkeypatch):
    right = kspace.row_transform

    def nearly(given, height):
        return np.roll(right(given, height), 1, axis=2)

    monkeypatch.setattr(kspace, "row_transform", nearly)
    assert "preprocess/small0_out_inputs" in failed(compared("fastmri"), "preprocess/small.*")


@pytest.mark.parametrize("name, value", [("_K1", 0.03), ("_K2", 0.031), ("_WINDOW", 9)])
def test_other_constants_of_ssim(monkeypatch, name, value):
    monkeypatch.setattr(ssim, name, value)
    assert "metrics/full_ssim_out" in failed(compared("fastmri"), "metrics/.*")


def test_targets_whose_normalisation_is_not_undone(monkeypatch):
    monkeypatch.setattr(parity, "slice_ssim", lambda x, y, mean, std, top: ssim.ssim(x, y, top))
    assert "metrics/ssim_out" in failed(compared("fastmri"), "metrics/ssim_out.*")
