"""ImageNet's data road against its golden numbers: every key of preprocess.npz.

Pictures are stored there as every eighth (operations: third) pixel, with statistics of the whole.
"""

import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from algoperf_pt.agreement import ABSOLUTE, Array, Check, Tolerance
from algoperf_pt.data.order import eval_plan
from algoperf_pt.golden import Values
from algoperf_pt.parity import Answer, Parity
from workloads.imagenet import bicubic, mixup, windows
from workloads.imagenet.data import bicubic_square, scaled_and_cut
from workloads.imagenet.decode import Picture
from workloads.imagenet.randaugment import operate
from workloads.imagenet.resample import normalise, resize_window

_PICTURE, _OPERATION = 8, 3  # one pixel of so many is stored
# Test pictures are decoded by libjpeg's accurate transform, not by the fast one of the reference:
# 0.02 in the mean, which is 0.036 of the sum of all values.  From its own pixels we get the same to
# 2e-6 (keys test*_of_crop_*).  Training windows are scaled with weights of 15
# bits, not 22: one grey level is 0.0176.
_JPEG, _JPEG_SUM, _LEVEL = 0.15, 0.04, 0.0176
_TRAIN_ROWS, _DRAWN = 1_281_167, 50_176  # of the permutation that the fixture holds


class PreprocessParity(Parity):
    """Mix it into the parity of a workload whose data are ImageNet's, before its other parents, and
    add its `tolerances` to the own ones.
    """

    tolerances = {
        "preprocess/test*_out_sum_abssum_std": Tolerance(_JPEG_SUM),
        "preprocess/test*_out_s8": Tolerance(_JPEG, ABSOLUTE),
        "preprocess/test*_of_crop_sum_abssum_std": Tolerance(1e-6),
        "preprocess/test*_of_crop_s8": Tolerance(1e-5, ABSOLUTE),
        "preprocess/rrc*_sum_abssum_std": Tolerance(1e-5),
        "preprocess/rrc*_s8": Tolerance(_LEVEL, ABSOLUTE),
        "preprocess/val*_sum_abssum_std": Tolerance(1e-6),
        "preprocess/val*_s8": Tolerance(1e-6, ABSOLUTE),
        "preprocess/mixup_*": Tolerance(1e-6, ABSOLUTE),
        "preprocess/*_rgb_255": Tolerance(1e-9, ABSOLUTE),
    }

    def answers(self) -> dict[str, Answer]:
        own = {
            "preprocess/(mean|stddev)_rgb_255": self.statistics,
            r"preprocess/(val|test)(\d)_out_(s8|sum_abssum_std)": self.evaluated,
            r"preprocess/test(\d)_crop_y_x_size": self.test_window,
            r"preprocess/rrc(\d)_flipped_out_(s8|sum_abssum_std)": self.trained_window,
            r"preprocess/ra_([A-Za-z]+)(_neg)?_(s3|sum)": self.operated,
            "preprocess/mixup_out_(inputs|targets)": self.mixed,
            "preprocess/eval_train_(first64|last_of_50176|sum_of_50176)": self.permuted,
            "preprocess/pad_out_(inputs|targets|weights)": self.padded,
        }
        return super().answers() | own

    def more_checks(self) -> Iterator[Check]:
        """The bicubic transform of the reference's own pixels, which hides no difference of
        decoders.
        """
        yield from super().more_checks()
        held = "preprocess" in self.fixture.files  # of the eight fixtures, by one alone
        for number in range(3 if held else 0):
            pixels = self.given[f"test{number}_decoded_crop"]
            found = self.finished(bicubic.resize(pixels, self.options["side"]))
            for part in ("s8", "sum_abssum_std"):
                wanted = self.given[f"test{number}_out_{part}"]
                key = f"preprocess/test{number}_of_crop_{part}"
                yield self.compare(key, _part_of(found, part), wanted)

    @property
    def given(self) -> Values:
        """preprocess.npz."""
        return self.fixture.files["preprocess"]

    def finished(self, pixels: Array) -> Array:
        """float32 [3, S, S]: normalised."""
        batch = torch.from_numpy(np.ascontiguousarray(pixels))[None]
        images = normalise(batch, self.options["mean"], self.options["std"])
        return images[0].permute(2, 0, 1).numpy()

    def statistics(self, which: str) -> Array:
        """[3] on the scale 0..255."""
        return 255 * np.array(self.options["mean" if which == "mean" else "std"])

    def evaluated(self, which: str, number: str, part: str) -> Array:
        """A picture as evaluations see it."""
        if which == "val":
            pixels = self.given[f"val{number}_image"]
            return _part_of(self.finished(scaled_and_cut(pixels, *self.sizes)), part)
        picture = Picture(self.given[f"test{number}_jpeg"].tobytes())
        return _part_of(self.finished(bicubic_square(picture, *self.sizes)), part)

    def test_window(self, number: str) -> Array:
        """Top, left, side."""
        picture = Picture(self.given[f"test{number}_jpeg"].tobytes())
        share = self.sizes[0] / self.sizes[1]
        return np.array(windows.central_square(picture.width, picture.height, share))

    @property
    def sizes(self) -> tuple[int, int]:
        """Side of a picture, and the one to which its shorter side is scaled."""
        return self.options["side"], self.options["short_side"]

    def trained_window(self, number: str, part: str) -> Array:
        """The fixture's window of a picture, mirrored."""
        side = self.options["side"]
        out = torch.empty((side, side, 3), dtype=torch.uint8)
        top, left, height, width = self.given[f"rrc{number}_top_left_h_w"].tolist()
        resize_window(self.given["val2_image"], (top, left, height, width), True, out)
        return _part_of(self.finished(out.numpy()), part)

    def operated(self, name: str, negative: str | None, part: str) -> Any:
        """RandAugment's operations at their strength."""
        sign, centre = -1 if negative else 1, self.given["ra_Cutout_uniform_x_y"].tolist()
        found = operate(self.given["ra_image"], name, sign, centre)
        return found[::_OPERATION, ::_OPERATION] if part == "s3" else found.sum(dtype=np.int64)

    def mixed(self, which: str) -> Tensor:
        """Each row with the one before it."""
        labels = mixup.dense(torch.from_numpy(self.given["mixup_labels"]), self.options["classes"])
        inputs = torch.from_numpy(self.given["mixup_inputs"])
        weight = torch.tensor(float(self.given["mixup_weight"]))
        partner = torch.arange(len(inputs)).roll(1)
        return mixup.mix(inputs if which == "inputs" else labels, weight, partner)

    def permuted(self, which: str) -> Any:
        """The recipe by which the reference draws the evaluated part of train, for the record: ours
        is a fixed sample (`WorkloadData.eval_index`), counted in the same order of pictures.
        """
        order = list(range(_TRAIN_ROWS))
        random.Random(int(self.given["eval_train_seed"])).shuffle(order)
        drawn = np.array(order[:_DRAWN])
        return {
            "first64": drawn[:64],
            "last_of_50176": drawn[-1],
            "sum_of_50176": drawn.sum(),
        }[which]

    def padded(self, which: str) -> Array:
        """Three rows in a batch of eight, as evaluations fill their last one."""
        rows, weights = eval_plan(3, 8, 0, 1, 0)
        if which == "weights":
            return weights.astype(np.float64)
        real = weights > 0
        inputs, targets = np.arange(12, dtype=np.float32).reshape(3, 4) + 1, np.array([5, 6, 7])
        values = (inputs if which == "inputs" else targets)[rows]
        return np.where(real.reshape(-1, *[1] * (values.ndim - 1)), values, 0).astype(values.dtype)


def _part_of(picture: Array, part: str) -> Array:
    """What is stored of a picture [3, S, S]."""
    if part == "s8":
        return picture[:, ::_PICTURE, ::_PICTURE]
    wide = picture.astype(np.float64)
    return np.array([wide.sum(), np.abs(wide).sum(), wide.std()])
