"""What becomes of a picture: windows, RandAugment against Pillow, mixing, the test's bicubic."""

import io

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import RandomResizedCrop

from algoperf_pt.data.augment import Augment
from algoperf_pt.errors import DataError
from workloads.image_classification import pixels as shared
from workloads.imagenet import bicubic, mixup, randaugment, windows
from workloads.imagenet.decode import Picture, Scratch, flaw
from workloads.imagenet.resample import normalise, pillow_resize, resize_window
from workloads.imagenet.rival import by_pillow

AREA, RATIO = (0.08, 1.0), (3 / 4, 4 / 3)
RNG = np.random.default_rng(0)
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def smooth(height, width, seed=0):
    """A picture with structure of all sizes."""
    rng = np.random.default_rng(seed)
    found = np.zeros((height, width, 3))
    for side in (4, 16, 64):
        image = Image.fromarray(rng.integers(0, 256, (side, side, 3), np.uint8))
        found += np.asarray(image.resize((width, height))) / 3
    return found.astype(np.uint8)


def encode(pixels, kind="JPEG", mode="RGB", **options):
    file = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(file, kind, **options)
    return file.getvalue()


# ---- windows


def test_windows_are_distributed_as_torchvisions():
    """Mean area, ratio and offsets of many windows, against its own draws."""
    count, size = 4000, (500, 375)
    draws, _ = windows.draw(count, Augment(3))
    ours = windows.random_windows(np.tile([size], (count, 1)), draws, AREA, RATIO)
    torch.manual_seed(0)
    image = Image.new("L", size)
    theirs = np.array([RandomResizedCrop.get_params(image, AREA, RATIO) for _ in range(count)])
    for column in range(4):
        a, b = ours[:, column], theirs[:, column]
        deviation = b.std() / np.sqrt(count / 2)
        assert abs(a.mean() - b.mean()) < 5 * deviation, column
        assert abs(a.std() / b.std() - 1) < 0.08, column
    top, left, height, width = ours.T
    assert (top + height <= 375).all() and (left + width <= 500).all() and (ours[:, :2] >= 0).all()
    assert (top + height == 375).any() and (top == 0).any()
    share = height * width / (375 * 500)
    assert share.min() > 0.07 and share.max() > 0.95


def test_the_first_try_that_fits_is_taken_and_else_the_centre():
    one = windows.Draws(*(np.zeros((1, 10)) for _ in range(4)), np.zeros(1, bool))
    one.area[:] = 1.0  # the whole area, at a ratio that the picture does not have
    one.ratio[:] = 0.5
    size = np.array([[400, 100]])
    (window,) = windows.random_windows(size, one, AREA, RATIO)
    assert window.tolist() == [0, (400 - 133) // 2, 100, 133]
    one.area[0, 4] = one.top[0, 4] = 0.0  # 8 %: the fifth try fits
    one.left[0, 4] = 0.999
    (window,) = windows.random_windows(size, one, AREA, RATIO)
    side = round(np.sqrt(0.08 * 40_000))
    assert window.tolist() == [0, 400 - side, side, side]
    assert windows.central_window(100, 400, RATIO) == ((400 - 133) // 2, 0, 133, 100)
    assert windows.central_window(100, 90, RATIO) == (0, 0, 90, 100)


def test_a_row_is_drawn_alike_on_any_number_of_ranks():
    def drawn(count, augment):
        draws, generator = windows.draw(count, augment)
        changes = randaugment.draw(count, 2, augment, generator)
        mixed = mixup.draw_weight(generator, 0.2)
        return np.concatenate([draws.area, draws.left, draws.flip[:, None]], 1), changes, mixed

    whole, changes, weight = drawn(12, Augment(5))
    for rank in range(3):
        part, own, mixed = drawn(4, Augment(5, rank, 3))
        assert np.array_equal(part, whole[rank::3]) and mixed == weight
        assert own._rows == changes._rows[rank::3]
    assert not np.array_equal(whole, drawn(12, Augment(6))[0])


def test_evaluated_windows_follow_the_reference():
    assert windows.scaled_size(500, 375, 256) == (341, 256)
    assert windows.scaled_size(375, 500, 256) == (256, 341)
    assert windows.central_crop(341, 256, 224) == (16, 58)  # 58.5: to the even number
    assert windows.central_crop(343, 257, 224) == (16, 60)  # 16.5 and 59.5
    assert windows.central_square(500, 375, 224 / 256) == (24, 86, 328)


# ---- decoding


@pytest.mark.parametrize("sampling", ["4:4:4", "4:2:2", "4:2:0"])
@pytest.mark.parametrize("more", [{}, {"progressive": True}, {"restart_marker_rows": 1}])
def test_rows_are_pillows_to_the_bit_wherever_decoding_ends(sampling, more):
    data = encode(smooth(75, 91), quality=80, subsampling=sampling, **more)
    whole = np.asarray(Image.open(io.BytesIO(data)))
    picture, scratch = Picture(data), Scratch()
    assert (picture.width, picture.height) == (91, 75)
    for stop in range(1, 76):
        rows = picture.rows(stop, scratch)
        assert len(rows) >= stop and np.array_equal(rows[:stop], whole[:stop]), stop
    assert np.array_equal(picture.rows(), whole)


def test_less_is_decoded_than_there_is():
    picture = Picture(encode(smooth(400, 300)))
    assert len(picture.rows(50)) == 52


@pytest.mark.parametrize(
    "kind, mode", [("JPEG", "L"), ("JPEG", "CMYK"), ("PNG", "RGB"), ("PNG", "P"), ("PNG", "RGBA")]
)
def test_other_kinds_are_what_pillow_makes_of_them(kind, mode):
    data = encode(smooth(40, 50), kind, mode)
    wanted = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    picture = Picture(data)
    assert (picture.width, picture.height) == (50, 40) and flaw(data) is None
    assert np.array_equal(picture.rows(20)[:20], wanted[:20]) and picture.rows().flags.writeable


def test_headers_with_odd_segments_are_understood():
    plain = encode(smooth(40, 50))
    segment = b"\xff\xfe\x00\x06abcd"  # a comment; padding bytes before its marker are allowed
    data = plain[:2] + segment + b"\xff\xff" + segment + plain[2:]
    assert np.array_equal(Picture(data).rows(9)[:9], Picture(plain).rows(9)[:9])


def test_what_cannot_be_decoded_says_so():
    cut = encode(smooth(40, 50))[:300]
    with pytest.raises(DataError, match="cannot be decoded"):
        Picture(cut[:2] + b"\xff\xc0\x00\x11\x08\x00\x20\x00\x20\x03" + bytes(60)).rows()
    assert flaw(cut) and flaw(b"") == flaw(b"text" * 40) == "it is no picture"


def test_scratch_memory_grows_and_is_used_again():
    scratch = Scratch()
    large, small = (Picture(encode(smooth(*size))) for size in ((80, 90), (30, 20)))
    first = small.rows(None, scratch).copy()
    assert np.array_equal(large.rows(None, scratch), large.rows())
    assert np.array_equal(small.rows(None, scratch), first)


# ---- scaling


@pytest.mark.parametrize("window", [(0, 0, 300, 400), (13, 40, 120, 90), (5, 7, 260, 331)])
@pytest.mark.parametrize("flip", [False, True])
def test_a_training_window_is_pillows_up_to_a_grey_level(window, flip):
    pixels = smooth(300, 400)
    top, left, height, width = window
    part = np.ascontiguousarray(pixels[top : top + height, left : left + width])
    wanted = pillow_resize(part, (224, 224))[:, :: -1 if flip else 1]
    out = torch.zeros(2, 224, 224, 3, dtype=torch.uint8)
    resize_window(pixels, window, flip, out[1])
    difference = np.abs(out[1].numpy().astype(int) - wanted)
    assert difference.max() <= 1 and (difference > 0).mean() < 0.01
    assert not out[0].any()


def test_bicubic_keeps_what_is_linear_and_may_leave_the_range():
    ramp = np.repeat(np.arange(20, 220, 2, dtype=np.uint8)[:, None], 100, 1)
    scaled = bicubic.resize(np.stack([ramp, ramp.T, ramp], -1), 50)
    assert scaled.dtype == np.float32 and scaled.shape == (50, 50, 3)
    assert np.allclose(scaled[1:-1, :, 0], (20 + 2 * (2 * np.arange(1, 49) + 0.5))[:, None])
    assert np.allclose(scaled[:, :, 1], scaled[:, :, 0].T)
    edge = np.zeros((10, 10, 3), np.uint8)
    edge[:, 5:] = 255
    assert bicubic.resize(edge, 37).min() < -5 and bicubic.resize(edge, 37).max() > 260


def test_normalising_is_that_of_the_other_workloads():
    images = torch.randint(256, (3, 17, 17, 3), dtype=torch.uint8)
    wanted = shared.normalise(images.permute(0, 3, 1, 2), MEAN, STD).permute(0, 2, 3, 1)
    found = normalise(images, MEAN, STD)
    assert found.dtype == torch.float32 and (found - wanted).abs().max() < 1e-6
    given = images.float()
    assert torch.equal(normalise(given, MEAN, STD), found)
    assert torch.equal(given, images.float())  # not changed


# ---- RandAugment


PICTURES = {
    "noise": RNG.integers(0, 256, (224, 224, 3)).astype(np.uint8),
    "smooth": smooth(224, 224),
    "dull": (smooth(224, 224) // 5 + np.array([90, 3, 200])).astype(np.uint8),
    "plain": np.full((224, 224, 3), (7, 77, 255), np.uint8),
    "black": np.zeros((224, 224, 3), np.uint8),
    "oblong": smooth(90, 131),
    "small": smooth(3, 5),
}


@pytest.mark.parametrize("name", [name for name in randaugment.OPERATIONS if name != "Cutout"])
@pytest.mark.parametrize("sign", [1, -1])
def test_operations_are_pillows_to_the_bit(name, sign):
    for which, pixels in PICTURES.items():
        before = pixels.copy()
        found = randaugment.operate(pixels, name, sign, (0.0, 0.0))
        wanted = np.asarray(by_pillow(Image.fromarray(pixels), name, sign, RNG))
        assert found.dtype == np.uint8 and np.array_equal(found, wanted), which
        assert np.array_equal(pixels, before), which


@pytest.mark.parametrize(
    "centre, rows, columns",
    [
        ((100.7, 60.2), (20, 101), (60, 141)),
        ((3.0, 223.9), (183, 224), (0, 81)),  # moved at the left, cut below
        ((223.0, 0.0), (0, 81), (183, 224)),
    ],
)
def test_a_cut_out_is_a_grey_square(centre, rows, columns):
    found = randaugment.operate(PICTURES["noise"], "Cutout", 1, centre)
    wanted = PICTURES["noise"].copy()
    wanted[slice(*rows), slice(*columns)] = 128
    assert np.array_equal(found, wanted)


def test_operations_follow_one_another_in_place():
    invert, posterize = (randaugment.OPERATIONS.index(n) for n in ("Invert", "Posterize"))
    numbers = np.array([[invert, posterize], [invert, invert]])
    changes = randaugment.Changes(numbers, np.zeros((2, 2), bool), np.zeros((2, 2, 2)))
    batch = np.stack([PICTURES["noise"]] * 2)
    changes.apply(0, batch[0])
    changes.apply(1, batch[1])
    assert np.array_equal(batch[0], (255 - PICTURES["noise"]) & 0xF0)
    assert np.array_equal(batch[1], PICTURES["noise"])


def test_every_operation_is_drawn_equally_often_and_both_ways():
    generator = np.random.default_rng(1)
    rows = randaugment.draw(8000, 2, Augment(0), generator)._rows
    numbers, negative, centres = (np.array(x) for x in zip(*(c for row in rows for c in row)))
    counts = np.bincount(numbers, minlength=16)
    assert len(counts) == 16 and abs(counts - 1000).max() < 160
    assert abs(negative.mean() - 0.5) < 0.02 and abs(centres.mean(0) - 0.5).max() < 0.02
    assert (numbers[::2] == numbers[1::2]).any()  # with replacement


def test_lengths_belong_to_the_side_of_the_picture():
    number = randaugment.OPERATIONS.index("TranslateX")
    changes = randaugment.Changes(np.array([[number]]), np.array([[False]]), np.zeros((1, 1, 2)))
    found = np.zeros((32, 32, 3), np.uint8)
    changes.apply(0, found)
    assert (found[:, :14] == 128).all() and not found[:, 14:].any()  # 100 of 224


# ---- mixup


@pytest.mark.parametrize("world", [1, 2, 4, 8])
def test_pairs_are_the_same_on_any_number_of_ranks(world):
    """Those of the reference on eight devices: each rolls its own batch by one."""
    rows = np.arange(32)
    eight = {}
    for rank in range(8):
        own = rows[rank::8]
        eight |= dict(zip(own.tolist(), np.roll(own, 1).tolist()))
    for rank in range(world):
        own = rows[rank::world]
        partner = own[mixup.partners(len(own), world).numpy()]
        assert dict(zip(own.tolist(), partner.tolist())).items() <= eight.items()


def test_a_row_is_never_its_own_partner():
    for count in (2, 4, 8, 16, 24, 3):
        assert (mixup.partners(count, 1) != torch.arange(count)).all(), count
    assert mixup.partners(1, 1).tolist() == [0]


def test_pictures_and_labels_are_mixed_alike():
    inputs, labels = torch.rand(4, 2, 2, 3), torch.tensor([0, 2, 1, 2])
    weight, partner = torch.tensor(0.3), torch.tensor([3, 0, 1, 2])
    mixed = mixup.mix(inputs, weight, partner)
    assert torch.allclose(mixed[2], 0.3 * inputs[2] + 0.7 * inputs[1])
    targets = mixup.mix(mixup.dense(labels, 4), weight, partner)
    assert torch.allclose(targets[2], torch.tensor([0, 0.3, 0.7, 0]))
    assert torch.allclose(targets[0], torch.tensor([0.3, 0, 0.7, 0]))
    assert torch.equal(mixup.mix(inputs, torch.tensor(1.0), partner), inputs)


def test_mixing_before_normalising_is_mixing_after_it():
    images = torch.randint(256, (4, 9, 9, 3), dtype=torch.uint8)
    mixed = torch.tensor(0.3), torch.tensor([3, 0, 1, 2])
    wanted = mixup.mix(normalise(images, MEAN, STD), *mixed)
    assert (normalise(images, MEAN, STD, mixed) - wanted).abs().max() < 1e-6


def test_weights_are_beta_distributed():
    generator = np.random.default_rng(0)
    drawn = torch.stack([mixup.draw_weight(generator, 0.2) for _ in range(4000)])
    assert abs(drawn.mean() - 0.5) < 0.03
    assert abs(drawn.var() - 0.25 / 1.4) < 0.01  # a b / ((a + b)^2 (a + b + 1))
