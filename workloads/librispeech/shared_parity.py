"""What both models share, against its golden numbers: front-end, SpecAugment, decoding, CTC, word
errors.
"""

from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from algoperf_pt.agreement import ABSOLUTE, EACH, Array, Check, Tolerance
from algoperf_pt.golden import Values
from algoperf_pt.parity import Answer, Parity
from workloads.librispeech import specaugment
from workloads.librispeech.decoding import greedy
from workloads.librispeech.frontend import LogMel, apply_masks
from workloads.librispeech.lengths import frames, valid_frames
from workloads.librispeech.loss import ctc
from workloads.librispeech.vocabulary import Vocabulary
from workloads.librispeech.wer import wer_sums

_DRAWS = 2_000  # behind the fixture's mean masked shares, and ours


class SharedParity(Parity):
    """Mix it into the parity of a workload, before `Parity`; only one fixture has these files."""

    tolerances = {
        # the reference's float32 is within 5e-5 of a float64 evaluation
        "preprocess/features*": Tolerance(2e-4, ABSOLUTE),
        "preprocess/window": Tolerance(1e-6, ABSOLUTE),
        "preprocess/mel_matrix": Tolerance(2e-5, ABSOLUTE),  # theirs is computed in float32
        "specaug/*_mean_masked_time_freq": Tolerance(0.015, ABSOLUTE),  # sampling: 0.005 in each
        "metrics/*per_example": Tolerance(1e-5, EACH),
        "metrics/*summed": Tolerance(1e-5, EACH),
    }

    def answers(self) -> dict[str, Answer]:
        ctc_parts = "(masked_)?(per_example|summed|n_valid)"
        own = {
            "preprocess/features": lambda: self.log_mel[0, : len(self.given["features"])],
            "preprocess/features_row1_first12": lambda: self.log_mel[1, :12],
            "preprocess/feature_paddings": self.feature_paddings,
            "preprocess/window": lambda: LogMel().window,
            "preprocess/mel_matrix": lambda: LogMel().mel,
            "preprocess/mean": lambda: LogMel().means,
            "preprocess/stddev": lambda: LogMel().deviations,
            "preprocess/lengths_to_frames": self.frame_counts,
            "specaug/(default|norm_and_spec_aug)_(time|freq)_keep": self.kept,
            "specaug/(default|norm_and_spec_aug)_mean_masked_time_freq": self.masked_shares,
            "metrics/decode_frames": lambda: self._metric("decode_logits").argmax(-1),
            "metrics/decoded(_lengths)?": self.small_decoded,
            f"metrics/ctc_{ctc_parts}": self.small_ctc,
            "metrics/jax_side_per_example": lambda: self.small_ctc(None, "per_example"),
        }
        return super().answers() | own

    def compare(self, key: str, found: Any, expected: Array, note: str = "") -> Check:
        """With what we do otherwise on purpose: `n_valid` counts ids also where there is a mask,
        and what the mask leaves out is 0, never nan."""
        if key.startswith("metrics/ctc_masked_") and not note:
            return super().compare(key, found, *self._masked(key, expected))
        if key == "metrics/jax_side_per_example":  # theirs is finite where ours is infinite
            kept = np.isfinite(np.asarray(found))
            found, expected = np.asarray(found)[kept], expected[kept]
        return super().compare(key, found, expected, note)

    def more_checks(self) -> Iterator[Check]:
        yield from super().more_checks()
        if (self.fixture.root / "wer.json").is_file():
            yield from self._word_checks()

    # ---- front-end

    @property
    def given(self) -> Values:
        """preprocess.npz."""
        return self.fixture.files["preprocess"]

    @cached_property
    def log_mel(self) -> Tensor:
        """Of both utterances; the second has noise in its padding."""
        samples, lengths = (torch.from_numpy(self.given[key]) for key in ("audio_i16", "lengths"))
        made: Tensor = LogMel()(samples, lengths)
        return made

    def feature_paddings(self) -> Array:
        """1 where a frame has no real sample."""
        lengths, count = self.given["lengths"], self.given["feature_paddings"].shape[1]
        valid = valid_frames(lengths)[:, None]
        return (np.arange(count) >= valid).astype(np.float32)

    def frame_counts(self) -> Array:
        """Rows of samples, padded samples, valid frames, frames."""
        samples, padded = self.given["lengths_to_frames"][:, :2].T
        every = frames(padded)
        return np.stack([samples, padded, np.minimum(valid_frames(samples), every), every], 1)

    # ---- SpecAugment

    def kept(self, config: str, axis: str) -> Array:
        """1 where no mask is, from the reference's uniform numbers."""
        file = self.fixture.files["specaug"]
        width, start = (file[f"{config}_u_{axis}_{part}"] for part in ("width", "start"))
        if axis == "time":
            masks = specaugment.time_masks(width, start, file["lengths"], 0.05)
        else:
            masks = specaugment.frequency_masks(width, start, 27)
        none = np.zeros((len(width), 1, 2), np.int16)
        pair = (masks, none) if axis == "time" else (none, masks)
        features = torch.ones(len(width), 1998, 80)
        seen = apply_masks(features, *map(torch.from_numpy, pair))
        return (seen[..., 0] if axis == "time" else seen[:, 0]).numpy().astype(np.uint8)

    def masked_shares(self, config: str) -> Array:
        """Mean share of masked frames and bins for numbers of frames, from our own draws."""
        file = self.fixture.files["specaug"]
        rng = np.random.default_rng(0)
        wanted = file[f"{config}_mean_masked_time_freq"][:, 0]
        counts = [file[f"{config}_u_{axis}_width"].shape[1] for axis in ("time", "freq")]

        def share(masks: Array, size: int) -> float:
            places, (start, width) = np.arange(size), masks.astype(int).transpose(2, 0, 1)
            inside = (places >= start[..., None]) & (places < (start + width)[..., None])
            return float(inside.any(1).mean())

        def row(length: float) -> list[float]:
            draws = [rng.random((2, _DRAWS, count), np.float32) for count in counts]
            times = specaugment.time_masks(*draws[0], np.full(_DRAWS, int(length)), 0.05)
            bins = specaugment.frequency_masks(*draws[1], 27)
            return [length, share(times, int(length)), share(bins, 80)]

        return np.array([row(length) for length in wanted])

    # ---- decoding and CTC

    def _metric(self, name: str) -> Tensor:
        return torch.from_numpy(self.fixture.files["metrics"][name])

    def _lengths(self, name: str) -> Tensor:
        return (self._metric(name) == 0).sum(1)

    def small_decoded(self, lengths: str | None) -> Array:
        """Ids, zeros behind them, or their numbers."""
        ids, counts = greedy(self._metric("decode_logits"), self._lengths("decode_paddings"))
        return (counts if lengths else ids).numpy()

    def small_ctc(self, masked: str | None, part: str) -> Any:
        """A field of the loss of six short sequences."""
        loss = ctc(
            self._metric("ctc_logits"),
            self._lengths("ctc_logit_paddings"),
            self._metric("ctc_targets"),
            self._lengths("ctc_target_paddings"),
            self._metric("ctc_mask") if masked else None,
        )
        return getattr(loss, part)

    def _masked(self, key: str, expected: Array) -> tuple[Array, str]:
        if key.endswith("n_valid"):
            ids = self._lengths("ctc_target_paddings") * self._metric("ctc_mask")
            return np.asarray(float(ids.sum())), f"ids, not {float(expected):g} utterances"
        rows = np.nan_to_num(self.fixture.files["metrics"]["ctc_masked_per_example"])
        wanted = rows.sum() if key.endswith("summed") else rows
        return np.asarray(wanted, np.float32), "0 in place of nan"

    # ---- words

    def _word_checks(self) -> Iterator[Check]:
        given = self.fixture.json("wer.json")
        pairs = given["pairs"]
        vocabulary = Vocabulary(self.fixture.path("tiny_spm.model"))
        sides = [vocabulary.decode([pair[f"{s}_ids"] for pair in pairs]) for s in _SIDES]
        for side, texts in zip(_SIDES, sides):
            wanted = np.array([pair[f"{side}_text"] for pair in pairs])
            yield self.compare(f"wer/{side}_text", np.array(texts), wanted)
        singles = [wer_sums([found], [real]) for found, real in zip(*sides)]
        for ours, theirs in _COUNTS.items():
            wanted = np.array([pair[theirs] for pair in pairs], float)
            yield self.compare(f"wer/{theirs}", np.array([one[ours] for one in singles]), wanted)
        sums = wer_sums(*sides)
        found = [sums["errors"], sums["words"], sums["errors"] / sums["words"]]
        wanted = [given[f"total_ref_{key}"] for key in ("word_errors", "num_words")]
        yield self.compare("wer/ref_total", np.array(found), np.array([*wanted, given["ref_wer"]]))
        plain = sums["plain_errors"] / sums["plain_words"]
        yield self.compare("wer/plain_total", plain, np.array(given["plain_wer"]))


_SIDES = ("decoded", "target")
_COUNTS = {
    "errors": "ref_word_errors",
    "words": "ref_num_words",
    "plain_errors": "plain_word_errors",
    "plain_words": "plain_num_words",
}
