"""Next-token prediction on FineWeb-Edu: perplexity of a 252.8 M parameter decoder."""

from typing import Any

import torch
from torch import Tensor, nn

from algoperf_pt.workload import EvalOutput, Loss, Workload, in_parts
from algoperf_pt.workload_data import Batch
from workloads.finewebedu_lm.metrics import perplexity, token_sums
from workloads.finewebedu_lm.model import LanguageModel
from workloads.text.cross_entropy import token_cross_entropy


class FinewebEduWorkload(Workload):
    """A causal language model; the loss of each position is that of its next id.

    Batches: `inputs`, `targets` [B, L] int64, `weights` [B, L] float32; `per_example` of a loss is
    [B, L].  The output layer is the embedding.
    """

    output_params = ("embed_tokens.weight",)

    def build_model(self, eval_chunk: int, **network: Any) -> nn.Module:
        """`eval_chunk`: sequences whose logits an evaluation holds at once; no figure depends on
        it.
        """
        self.eval_chunk = eval_chunk
        return LanguageModel(**network)

    def reset_parameters(self, generator: torch.Generator) -> None:
        self.model.reset_parameters(generator)

    def loss(self, batch: Batch, logits: Tensor, label_smoothing: float = 0.0) -> Loss:
        return token_cross_entropy(logits, batch["targets"], batch.get("weights"), label_smoothing)

    def eval_step(self, batch: Batch) -> EvalOutput:
        return in_parts(batch, self.eval_chunk, self._eval_part)

    def metrics(
        self, split: str, sums: dict[str, float], rows: dict[str, Tensor]
    ) -> dict[str, float]:
        return perplexity(sums)

    def _eval_part(self, batch: Batch) -> dict[str, Tensor]:
        return token_sums(self.loss(batch, self(batch)).per_example, batch["weights"])
