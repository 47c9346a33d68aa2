"""What does a model hear?  Samples to normalised log-mel energies, and the masks of SpecAugment.

No parameters and no gradients.  Shapes: B utterances, W samples, n frames of 25 ms every 10 ms, F
mel bins (80).  Source of the arithmetic: the HTK book (pre-emphasis in each frame, mel scale) in
AlgoPerf's form.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from workloads.librispeech.lengths import HOP, WINDOW
from workloads.librispeech.logmel_stats import DEVIATIONS, MEANS

_RATE = 16_000  # Hz
_USED = WINDOW - 1  # samples of a frame; one more counts only for the number of frames
_FOURIER = 512  # points, zeros behind the frame
_LOWEST, _HIGHEST = 125.0, 7600.0  # Hz, edges of the first and the last bin
_EMPHASIS = 0.97
_SCALE = 2.0**-15  # of the 16-bit samples
_FLOOR = 1e-5  # of an energy


class LogMel(nn.Module):
    """Normalised natural logarithms of mel energies; frames of silence have a floor, not zero."""

    window: Tensor
    mel: Tensor
    means: Tensor
    deviations: Tensor

    def __init__(self) -> None:
        super().__init__()
        constants = {
            "window": torch.hann_window(_USED, dtype=torch.float64).float(),
            "mel": torch.from_numpy(mel_matrix()).float(),
            "means": torch.tensor(MEANS),
            "deviations": torch.tensor(DEVIATIONS),
        }
        for name, values in constants.items():
            self.register_buffer(name, values, persistent=False)

    @torch.no_grad()
    def forward(self, samples: Tensor, lengths: Tensor) -> Tensor:
        """[B, W] samples of 16 bits -> [B, n, F] float32.

        Args:
            samples: whole numbers of any type; what is behind an utterance's length is ignored.
            lengths: [B] valid samples.
        """
        behind = torch.arange(samples.shape[1], device=samples.device) >= lengths[:, None]
        waves = samples.to(torch.float32).mul_(_SCALE).masked_fill_(behind, 0.0)
        # the window is 0 at a frame's first sample, the only one without one before it
        waves[:, 1:] -= _EMPHASIS * waves[:, :-1]
        framed = waves.unfold(1, WINDOW, HOP)[..., :_USED] * self.window  # [B, n, 400]
        spectrum = torch.view_as_real(torch.fft.rfft(framed, _FOURIER))
        power = spectrum.square_().sum(-1)  # [B, n, 257]
        energies = torch.matmul(power, self.mel).clamp_(min=_FLOOR).log_()
        return energies.sub_(self.means).div_(self.deviations)


def mel_matrix() -> np.ndarray:
    """float64 [257, 80]: weights of Fourier bins in mel bins, triangles in mel, not normalised."""
    edges = np.linspace(_mel(_LOWEST), _mel(_HIGHEST), len(MEANS) + 2)
    low, middle, high = edges[:-2], edges[1:-1], edges[2:]
    bins = _mel(np.arange(_FOURIER // 2 + 1) * (_RATE / _FOURIER))[:, None]
    rising, falling = (bins - low) / (middle - low), (high - bins) / (high - middle)
    weights: np.ndarray = np.maximum(0.0, np.minimum(rising, falling))
    weights[0] = 0.0  # the constant part
    return weights


def _mel(hertz: Any) -> Any:
    return 1127.0 * np.log1p(np.asarray(hertz) / 700.0)


@torch.no_grad()
def apply_masks(features: Tensor, time_masks: Tensor, frequency_masks: Tensor) -> Tensor:
    """[B, n, F] with zeros, the mean of each bin, where a mask of the row is.

    Args:
        features: as `LogMel` gives them.
        time_masks: [B, M, 2] start and width in frames.
        frequency_masks: [B, M, 2] start and width in bins.
    """
    hidden = _hidden(time_masks, features.shape[1])[:, :, None]
    return features.masked_fill(hidden | _hidden(frequency_masks, features.shape[2])[:, None], 0.0)


def _hidden(masks: Tensor, size: int) -> Tensor:
    """bool [B, size]: in any of the masks [B, M, 2]."""
    places = torch.arange(size, device=masks.device)
    starts, widths = masks.long()[..., None].unbind(2)  # [B, M, 1]
    return ((places >= starts) & (places < starts + widths)).any(1)
