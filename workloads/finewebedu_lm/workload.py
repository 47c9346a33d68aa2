"""Next-token prediction on FineWeb-Edu: perplexity of a 252.8 M parameter decoder."""

from typing import Any

import torch
from torch import Tensor, nn

from algoperf_pt.workload import EvalOutput, Loss, Workload
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
        names = ("inputs", "targets", "weights")
        total: dict[str, Tensor] = {}
        for parts in zip(*(batch[name].split(self.eval_chunk) for name in names)):
            part = dict(zip(names, parts))
            sums = token_sums(self.loss(part, self(part)).per_example, part["weights"])
            total = {name: total[name] + sums[name] if total else sums[name] for name in sums}
        return EvalOutput(total)

    def metrics(
        self, split: str, sums: dict[str, float], rows: dict[str, Tensor]
    ) -> dict[str, float]:
        return perplexity(sums)
