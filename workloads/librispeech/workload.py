"""LibriSpeech: read English to text, by a Conformer or by DeepSpeech, judged by word errors."""

from typing import Any

import torch
from torch import Tensor, nn

from algoperf_pt.workload import EvalOutput, Loss, Workload, in_parts
from algoperf_pt.workload_data import Batch
from workloads.librispeech.conformer import Conformer
from workloads.librispeech.decoding import greedy
from workloads.librispeech.deepspeech import DeepSpeech
from workloads.librispeech.lengths import encoded, frames, valid_frames
from workloads.librispeech.loss import ctc
from workloads.librispeech.masked_norm import MOMENTUM, MaskedBatchNorm
from workloads.librispeech.speech import SpeechModel
from workloads.librispeech.wer import wer_sums

_INPUTS = ("inputs", "input_lengths", "time_masks", "frequency_masks")


class SpeechWorkload(Workload):
    """Batches: `inputs` [B, W] int16 samples, `input_lengths` [B], `targets` [B, U] ids,
    `target_lengths` [B], `weights` [B]; in training also `time_masks` and `frequency_masks`
    [B, M, 2].  Logits [B, T, V], of 40 ms each.
    """

    output_params = ("lin.weight", "lin.bias")
    model_class: type[SpeechModel]

    def build_model(
        self, eval_rows: int = 32, momentum: float = MOMENTUM, **sizes: Any
    ) -> nn.Module:
        """Args:
        eval_rows: utterances that a rank evaluates at once; a matter of memory, not of figures.
        momentum: weight of a batch in the running statistics of batch norms.
        sizes: of the model.
        """
        self._eval_rows = eval_rows
        model = self.model_class(**sizes)
        for module in model.modules():
            if isinstance(module, MaskedBatchNorm):
                module.momentum = momentum
        return model

    def reset_parameters(self, generator: torch.Generator) -> None:
        self.model.reset_parameters(generator)

    def model_forward(self, batch: Batch) -> Tensor:
        logits: Tensor = self.model(**{name: batch[name] for name in _INPUTS if name in batch})
        return logits

    def loss(self, batch: Batch, logits: Tensor, label_smoothing: float = 0.0) -> Loss:
        """CTC; `per_example` [B].  Label smoothing is accepted and ignored."""
        return ctc(
            logits,
            output_frames(batch),
            batch["targets"],
            batch["target_lengths"],
            batch.get("weights"),
        )

    def eval_step(self, batch: Batch) -> EvalOutput:
        """Losses and word errors of the utterances that are no padding."""
        return in_parts(batch, self._eval_rows, self._eval_part)

    def metrics(
        self, split: str, sums: dict[str, float], rows: dict[str, Tensor]
    ) -> dict[str, float]:
        """Word errors a word by the benchmark's rule, and by the usual one; loss a target id."""
        return {
            "wer": sums["errors"] / sums["words"],
            "ctc_loss": sums["loss"] / max(sums["tokens"], 1.0),
            "plain_wer": sums["plain_errors"] / max(sums["plain_words"], 1.0),
            "unalignable": sums["unalignable"],
        }

    def _eval_part(self, batch: Batch) -> dict[str, Tensor]:
        logits = self(batch)
        losses = self.loss(batch, logits).per_example
        finite = losses.isfinite()
        real = batch["weights"] > 0
        counted = {
            "loss": torch.where(finite, losses, 0.0),
            "tokens": torch.where(finite & real, batch["target_lengths"], 0),
            "unalignable": ~finite,
        }
        sums = {name: value.sum(dtype=torch.float64) for name, value in counted.items()}
        return sums | self._word_errors(batch, logits, real)

    def _word_errors(self, batch: Batch, logits: Tensor, real: Tensor) -> dict[str, Tensor]:
        ids, lengths = greedy(logits, output_frames(batch))
        found = _texts(self.data.vocabulary, ids, lengths, real)
        wanted = _texts(self.data.vocabulary, batch["targets"], batch["target_lengths"], real)
        sums = wer_sums(found, wanted)
        numbers = torch.tensor(list(sums.values()), dtype=torch.float64).to(logits.device)
        return dict(zip(sums, numbers))


class ConformerWorkload(SpeechWorkload):
    """By attention and convolution."""

    model_class = Conformer


class DeepSpeechWorkload(SpeechWorkload):
    """By recurrent layers."""

    model_class = DeepSpeech


def output_frames(batch: Batch) -> Tensor:
    """[B] valid frames of the logits."""
    valid = valid_frames(batch["input_lengths"]).clamp(max=frames(batch["inputs"].shape[1]))
    counted: Tensor = encoded(valid)
    return counted


def _texts(vocabulary: Any, ids: Tensor, lengths: Tensor, real: Tensor) -> list[str]:
    """Texts of the rows that are real."""
    counts, rows = lengths[real].tolist(), ids[real].tolist()
    texts: list[str] = vocabulary.decode([row[:count] for row, count in zip(rows, counts)])
    return texts
