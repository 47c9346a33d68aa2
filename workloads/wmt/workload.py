"""wmt: German to English translation, by a Transformer, judged by corpus BLEU."""

from typing import Any

import torch
from torch import Tensor

from algoperf_pt.workload import EvalOutput, Loss, Workload, in_parts
from algoperf_pt.workload_data import Batch
from workloads.text.cross_entropy import token_cross_entropy
from workloads.wmt.beam_search import beam_search
from workloads.wmt.bleu import NAMES, bleu_score, bleu_sums
from workloads.wmt.decoding import Decoder
from workloads.wmt.model import Transformer

_FIELDS = ("position", "segmentation")


class WmtWorkload(Workload):
    """Batches: `inputs` [B, S], `targets` [B, T] int64 (0 padding, 2 end), `weights` [B, T]
    float32; packed training rows also have `{inputs,targets}_{position,segmentation}`.  Logits
    [B, T, V].
    """

    output_params = ("embedding.weight",)

    def build_model(
        self,
        beams: int = 4,
        alpha: float = 0.6,
        decode_length: int = 256,
        eval_rows: int = 128,
        **sizes: Any,
    ) -> Transformer:
        """Args:
        beams, alpha, decode_length: of the beam search (see there).
        eval_rows: sentences that a rank evaluates at once; a matter of memory, not of figures.
        sizes: of `workloads.wmt.model.Sizes`.
        """
        self._search = {"beams": beams, "alpha": alpha, "length": decode_length}
        self._eval_rows = eval_rows
        return Transformer(**sizes)

    def reset_parameters(self, generator: torch.Generator) -> None:
        self.model.reset_parameters(generator)

    def model_forward(self, batch: Batch) -> Tensor:
        packed = {
            name: batch[name]
            for name in (f"{side}_{field}" for side in ("inputs", "targets") for field in _FIELDS)
            if name in batch
        }
        logits: Tensor = self.model(batch["inputs"], batch["targets"], **packed)
        return logits

    def loss(self, batch: Batch, logits: Tensor, label_smoothing: float = 0.0) -> Loss:
        """Cross entropy of the tokens; `per_example` [B, T]; weights select, they do not scale."""
        weights = batch.get("weights")
        selected = None if weights is None else weights > 0
        loss = token_cross_entropy(logits, batch["targets"], selected, label_smoothing)
        n_valid = loss.n_valid if weights is None else weights.sum().to(loss.summed.dtype)
        return Loss(loss.summed, n_valid, loss.per_example)

    def eval_step(self, batch: Batch) -> EvalOutput:
        """Loss and accuracy of the tokens given those before them, and BLEU of the translations."""
        return in_parts(batch, self._eval_rows, self._eval_part)

    def translate(self, inputs: Tensor) -> Tensor:
        """Best translation [B, decode_length - 1] of each source [B, S]; what is behind the end has
        no meaning.
        """
        scorer = Decoder(self.model, inputs, self._search["beams"])
        return beam_search(scorer, len(inputs), inputs.device, **self._search).best

    def metrics(
        self, split: str, sums: dict[str, float], rows: dict[str, Tensor]
    ) -> dict[str, float]:
        tokens = sums["tokens"]
        return {
            "bleu": bleu_score(sums),
            "loss": sums["loss"] / tokens,
            "accuracy": sums["hits"] / tokens,
        }

    def _eval_part(self, batch: Batch) -> dict[str, Tensor]:
        batch = trimmed(batch)
        return self.token_sums(batch) | self._bleu_sums(batch)

    def token_sums(self, batch: Batch) -> dict[str, Tensor]:
        """Summed loss, hits and number of weighted tokens."""
        logits = self.model_forward(batch)
        hits = (logits.argmax(-1) == batch["targets"]) * batch["weights"]
        loss = self.loss(batch, logits)
        sums = {"loss": loss.per_example, "hits": hits, "tokens": batch["weights"]}
        return {name: value.sum(dtype=torch.float64) for name, value in sums.items()}

    def _bleu_sums(self, batch: Batch) -> dict[str, Tensor]:
        real = batch["weights"].sum(1) > 0  # not those that fill up the last batch
        found = self.translate(batch["inputs"][real]) if bool(real.any()) else batch["inputs"][:0]
        vocabulary = self.data.vocabulary
        hypotheses = vocabulary.decode(found.tolist())
        references = vocabulary.decode(batch["targets"][real].tolist())
        sums = bleu_sums(hypotheses, references)
        numbers = torch.tensor([sums[name] for name in NAMES], dtype=torch.float64)
        return dict(zip(NAMES, numbers.to(real.device)))


def trimmed(batch: Batch) -> Batch:
    """Without the columns that are padding in every row."""
    used = {
        side: 1 + int((batch[side] > 0).any(0).nonzero().max()) for side in ("inputs", "targets")
    }
    lengths = {"inputs": used["inputs"], "targets": used["targets"], "weights": used["targets"]}
    return {name: batch[name][:, :length] for name, length in lengths.items()}
