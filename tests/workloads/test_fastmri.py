"""fastMRI: masks, the way from k-space to images, SSIM, loss, network, batches and evaluations."""

import copy
import pickle

import numpy as np
import pytest
import torch
from scipy.ndimage import uniform_filter
from torch import nn
from torch.nn.functional import avg_pool2d

from algoperf_pt.assemble import make_data, make_workload
from algoperf_pt.config import compose_config
from algoperf_pt.errors import ConfigError
from algoperf_pt.ranks import Ranks
from algoperf_pt.roles import ParamType
from algoperf_pt.spec import make_spec
from tests.support.ranks import OneOf
from workloads.fastmri.kspace import (
    _full_precision,
    column_basis,
    image_of,
    magnitude,
    normalised,
    row_transform,
)
from workloads.fastmri.masks import MaskRule, uniform
from workloads.fastmri.model import UNet, fitted
from workloads.fastmri.ssim import slice_ssim, ssim, window_means
from workloads.fastmri.workload import FastmriWorkload

CPU = torch.device("cpu")
RULE = MaskRule(0.08, 4)


def complex_noise(*shape, seed=0):
    rng = np.random.default_rng(seed)
    return (rng.normal(size=shape) + 1j * rng.normal(size=shape)).astype(np.complex64)


def by_definition(kspace, kept, height, width):
    """float64: the mask, a whole inverse transform, the crop, the absolute value."""
    axes = (0, 1)
    shifted = np.fft.ifftshift(kspace.astype(np.complex128) * kept, axes=axes)
    image = np.abs(np.fft.fftshift(np.fft.ifft2(shifted, norm="ortho"), axes=axes))
    top, left = (kspace.shape[0] - height) // 2, (kspace.shape[1] - width) // 2
    return image[top : top + height, left : left + width]


# ---- masks


def test_the_middle_is_kept_and_a_quarter_in_all():
    widths = np.array([320, 368, 372, 640])
    kept = RULE.kept(widths, uniform(np.zeros((1, 2), np.int64), 640))
    assert kept.sum(1).tolist() == [80, 97, 97, 163]
    for row, width in zip(kept, widths):
        middle = int(width * 0.08)
        first = (width - middle + 1) // 2
        assert row[first : first + middle].all() and not row[width:].any()


def test_masks_keep_a_quarter_on_average():
    seeds = np.stack([np.full(4000, 7), np.arange(4000)], 1)
    kept = RULE.kept(np.full(4000, 372), uniform(seeds, 372))
    assert kept.sum(1).mean() == pytest.approx(93, abs=0.5)
    outside = kept[:, :150].mean(0)
    assert outside.std() < 0.012  # every column as often: sqrt(0.18 * 0.82 / 4000) = 0.006


def test_random_numbers_follow_from_both_integers_and_are_uniform():
    seeds = np.array([[1, 2], [1, 3], [2, 2], [2**62, -1]])
    made = uniform(seeds, 1001)
    assert made.shape == (4, 1001) and made.dtype == np.float32
    assert made.min() >= 0 and made.max() < 1
    assert np.abs(made.mean(1) - 0.5).max() < 0.05
    assert len({row.tobytes() for row in made}) == 4
    assert np.array_equal(uniform(seeds, 6), made[:, :6])


# ---- from k-space to images


@pytest.mark.parametrize("rows, columns", [(96, 64), (97, 75), (96, 49), (64, 48)])
def test_the_two_halves_are_the_whole_transform(rows, columns):
    kspace = complex_noise(rows, columns)
    kept = RULE.kept(np.array([columns]), uniform(np.zeros((1, 2), np.int64), columns))[0]
    made = image_of(kspace, kept, 46, 48).numpy()
    assert made.shape == (46, 48)
    assert np.allclose(made, by_definition(kspace, kept, 46, 48), rtol=1e-5, atol=1e-5)


def test_a_column_of_zeros_in_the_basis_does_not_count():
    kspace = complex_noise(1, 64, 50)
    columns = torch.from_numpy(row_transform(kspace, 32).view(np.float32))
    basis = torch.from_numpy(column_basis(50, 32))[None].clone()
    basis[:, 20:] = 0
    some = magnitude(columns[:, :20], basis[:, :20])
    assert torch.allclose(magnitude(columns, basis), some, atol=1e-6)


def test_images_are_normalised_by_the_input_and_cut():
    images, targets = torch.rand(3, 20, 22) * 5, torch.rand(3, 20, 22) * 9
    images[0, 0, 0], targets[1, 2, 3] = 90.0, -90.0
    made = normalised(images.clone(), targets, 6.0)
    flat = images.flatten(1).double()
    mean, std = flat.mean(1), flat.std(1, correction=0)
    assert torch.allclose(made["mean"].double(), mean, rtol=1e-6)
    assert torch.allclose(made["std"].double(), std, rtol=1e-6)
    for name, given in (("inputs", images), ("targets", targets)):
        wanted = ((given - mean[:, None, None]) / std[:, None, None]).clamp(-6, 6)
        assert torch.allclose(made[name].double(), wanted, atol=1e-5)
    assert made["inputs"].max() == 6 and made["targets"].min() == -6


def test_tf32_is_switched_off_for_the_transform_and_on_again():
    settings = torch.backends.cuda.matmul
    before = settings.allow_tf32
    try:
        settings.allow_tf32 = True
        with _full_precision(True):
            assert not settings.allow_tf32
        assert settings.allow_tf32
    finally:
        settings.allow_tf32 = before


# ---- SSIM


def by_filters(x, y, data_range):
    """float64, by scipy's filter; the interior's mean."""
    x, y = x.double().numpy(), y.double().numpy()
    ux, uy = uniform_filter(x, 7), uniform_filter(y, 7)
    scale = 49 / 48
    vx = scale * (uniform_filter(x * x, 7) - ux * ux)
    vy = scale * (uniform_filter(y * y, 7) - uy * uy)
    vxy = scale * (uniform_filter(x * y, 7) - ux * uy)
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    s = (2 * ux * uy + c1) * (2 * vxy + c2) / ((ux**2 + uy**2 + c1) * (vx + vy + c2))
    return s[3:-3, 3:-3].mean()


def test_ssim_against_filters_of_scipy():
    y = torch.rand(4, 40, 36, generator=torch.Generator().manual_seed(0))
    x = y + 0.3 * torch.rand(4, 40, 36, generator=torch.Generator().manual_seed(1))
    ranges = torch.tensor([1.0, 0.5, 3.0, 0.0])
    wanted = [by_filters(a, b, float(r) or 1.0) for a, b, r in zip(x, y, ranges)]
    assert ssim(x, y, ranges).tolist() == pytest.approx(wanted, abs=2e-6)
    assert ssim(y, y, ranges).tolist() == pytest.approx([1.0] * 4, abs=1e-6)
    assert ssim(x, 1.3 - x, ranges).max() < 0


def test_windows_are_averaged_over_their_49_pixels():
    maps = torch.rand(2, 3, 15, 11)
    assert torch.allclose(window_means(maps), avg_pool2d(maps, 7, stride=1), atol=1e-6)


def test_ssim_is_taken_once_the_normalisation_is_undone():
    x, y = torch.randn(2, 20, 20), torch.randn(2, 20, 20)
    mean, std, largest = torch.tensor([3.0, 1.0]), torch.tensor([2.0, 0.5]), torch.tensor([9.0, 2])
    found = slice_ssim(x, y, mean, std, largest)
    for i in range(2):
        alone = ssim((x[i] * std[i] + mean[i])[None], (y[i] * std[i] + mean[i])[None], largest[i:])
        assert torch.allclose(found[i], alone[0], atol=1e-6)


# ---- loss, metrics, network


def bare(**model):
    """The workload without data or numbers of the rules."""
    return FastmriWorkload(spec=None, data=None, model={"num_channels": 4, **model})


def batch_of(count, side=32, seed=0):
    generator = torch.Generator().manual_seed(seed)
    images = {n: torch.randn(count, side, side, generator=generator) for n in ("inputs", "targets")}
    scale = {n: torch.rand(count, generator=generator) + 1 for n in ("mean", "std", "volume_max")}
    return {**images, **scale, "weights": torch.ones(count)}


def test_the_loss_is_the_mean_absolute_error_and_ignores_smoothing():
    workload, batch = bare(num_pool_layers=1), batch_of(3)
    outputs = torch.randn(3, 32, 32)
    batch["weights"] = torch.tensor([1.0, 0.0, 1.0])
    loss = workload.loss(batch, outputs, label_smoothing=0.3)
    wanted = (outputs - batch["targets"]).abs().mean((1, 2)) * torch.tensor([1.0, 0, 1])
    assert torch.allclose(loss.per_example, wanted) and loss.n_valid == 2
    assert loss.summed == pytest.approx(float(wanted.sum())) and loss.summed.dtype == torch.float32


def test_an_evaluation_does_not_depend_on_how_many_slices_it_takes_at_once():
    batch = batch_of(5)
    batch["weights"][4] = 0
    sums = []
    for rows in (5, 2):
        workload = bare(num_pool_layers=1, eval_rows=rows)
        workload.reset_parameters(torch.Generator().manual_seed(0))
        with torch.no_grad():
            sums.append(workload.eval().eval_step(batch).sums)
    assert sums[0]["count"] == 4
    assert all(torch.allclose(sums[0][name], sums[1][name], rtol=1e-6) for name in sums[0])
    found = workload.metrics("test", {"ssim": 2.0, "loss": 1.0, "count": 4.0}, {})
    assert found == {"ssim": 0.5, "loss": 0.25}


@pytest.mark.parametrize("levels", [1, 3])
def test_the_output_layer_is_found_at_any_depth(levels):
    model = UNet(4, levels)
    weight, bias = (model.get_parameter(name) for name in model.output_params)
    assert weight.shape == (1, 4, 1, 1) and bias.shape == (1,)
    assert bare(num_pool_layers=levels).output_params == model.output_params


def test_norms_of_the_variant_have_their_own_role():
    types = bare(layernorm=True).param_types
    assert types["conv.conv_layers.1.weight"] == ParamType.LAYER_NORM_SCALE
    assert types["conv.conv_layers.1.bias"] == ParamType.LAYER_NORM_BIAS
    assert types["up_transpose_conv.0.layers.0.weight"] == ParamType.CONV_WEIGHT


def test_sizes_that_are_odd_on_the_way_are_mirrored():
    x, skip = torch.arange(6.0).reshape(1, 1, 2, 3), torch.zeros(1, 1, 3, 4)
    assert fitted(x, skip)[0, 0].tolist() == [[0, 1, 2, 1], [3, 4, 5, 4], [0, 1, 2, 1]]
    assert fitted(x, x) is x
    model = UNet(4, 3)
    assert model(torch.randn(2, 30, 27)).shape == (2, 30, 27)


def test_dropout_drops_whole_channels_of_a_call():
    workload, batch = bare(num_pool_layers=1).train(), batch_of(2)
    drops = [m for m in workload.model.modules() if isinstance(m, nn.Dropout2d)]
    assert len(drops) == 6
    first = workload(batch)
    assert torch.equal(first, workload(batch, dropout_rate=0.0))
    assert not torch.equal(first, workload(batch, dropout_rate=0.5))
    assert torch.equal(first, workload(batch))


def test_activations_work_in_place_without_harm_to_gradients():
    workload, batch = bare(num_pool_layers=2).train().double(), batch_of(2, side=16)
    workload.reset_parameters(torch.Generator().manual_seed(0))
    careful = copy.deepcopy(workload)
    for module in careful.model.modules():
        if isinstance(module, nn.LeakyReLU):
            module.inplace = False
    batch = {name: tensor.double() for name, tensor in batch.items()}
    for one in (workload, careful):
        one.loss(batch, one(batch)).summed.backward()
    pairs = zip(workload.parameters(), careful.parameters())
    assert all(torch.allclose(a.grad, b.grad, rtol=1e-10) for a, b in pairs)


# ---- batches


def tiny(folder, *overrides):
    config = compose_config(["workload=fastmri_tiny", f"data.dir={folder}", *overrides])
    workload = make_workload(config, make_spec(config), make_data(config))
    workload.reset_parameters(torch.Generator().manual_seed(1))
    return workload


@pytest.fixture
def folder(all_data):
    return all_data.prepared("fastmri_tiny")


def test_a_slice_has_one_mask_in_a_trial(folder):
    """Whatever the epoch, the rank or the worker, and another one in another trial."""
    data = tiny(folder).data

    def seen(seed, ranks, size, steps, start=0):
        stream = data.train_batches(size, seed, ranks, start)
        found = {}
        for _ in range(steps):
            batch = next(stream)
            for target, image in zip(batch["targets"], batch["inputs"]):
                key = tuple(target[20:23, 20].mul(50).round().tolist())
                found.setdefault(key, []).append(image)
        return found

    epoch, later = seen(3, Ranks(CPU), 32, 6), seen(3, OneOf(1, 2), 32, 6, start=6)
    common = epoch.keys() & later.keys()
    assert len(common) > 50
    assert all(torch.allclose(epoch[k][0], later[k][0], atol=1e-4) for k in common)
    other = seen(4, Ranks(CPU), 32, 6)
    shared = epoch.keys() & other.keys()
    assert not any(torch.allclose(epoch[k][0], other[k][0], atol=1e-2) for k in shared)


def test_masks_of_evaluations_are_the_same_in_every_trial(folder):
    data = tiny(folder).data
    rows = np.arange(24)
    for split in ("train", "validation"):
        first, again = (data.finish(data.build(split, rows, None)) for _ in range(2))
        assert torch.equal(first["inputs"], again["inputs"])
    masks = {split: masks_of(data, split, rows) for split in ("train", "validation")}
    assert len(masks["train"]) == 24  # one for each slice
    assert len(masks["validation"]) == len(set(data.table("validation").width[rows].tolist()))


def masks_of(data, split, rows):
    """{(width, numbers of the kept columns)}"""
    table, basis = data.table(split), data.build(split, rows, None)["basis"]
    columns = basis - torch.from_numpy(table.basis[rows])[:, None]
    return {(int(w), tuple(row.tolist())) for w, row in zip(table.width[rows], columns)}


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 1, 3])
@pytest.mark.filterwarnings("ignore:This DataLoader will create")
def test_evaluations_depend_on_neither_workers_nor_ranks(folder, workers):
    plain = tiny(folder, "workload.eval_batch_size=12")
    wanted = {split: plain.evaluate(split, Ranks(CPU)) for split in ("train", "validation", "test")}
    workload = tiny(folder, f"data.workers={workers}", "workload.eval_batch_size=12")
    for split, figures in wanted.items():
        assert workload.evaluate(split, Ranks(CPU)) == figures  # to the last bit
    sums = []
    workload.metrics = lambda split, found, rows: sums.append(found) or {}
    for rank in (0, 1):
        workload.evaluate("validation", OneOf(rank, 2))
    added = {key: sums[0][key] + sums[1][key] for key in sums[0]}
    assert added["count"] == 32
    assert plain.metrics("validation", added, {}) == pytest.approx(wanted["validation"], rel=1e-6)


def test_an_odd_image_is_refused(folder):
    with pytest.raises(ConfigError, match="images of 47 columns"):
        tiny(folder, "workload.data.options.width=47")


def test_workers_send_kept_columns_and_the_device_makes_images_of_them(folder):
    data = tiny(folder).data
    batch = data.build("test", np.arange(3), None)
    assert batch["columns"].shape[2] == 2 * data.height
    made = data.finish(batch)
    assert set(made) == {"inputs", "targets", "mean", "std", "volume_max"}
    assert made["inputs"].shape == (3, 48, 48) and made["inputs"].is_contiguous()
    copied = pickle.loads(pickle.dumps(data))  # as a worker that was not forked gets it
    assert copied._basis is None
    again = copied.build("test", np.arange(3), None)
    assert all(torch.equal(batch[name], again[name]) for name in batch)
    assert torch.equal(copied.finish(again)["inputs"], made["inputs"])
