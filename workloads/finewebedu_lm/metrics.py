"""How good is a language model?  Mean loss of a token, and perplexity, from sums over a split."""

import torch
from torch import Tensor


def token_sums(per_token: Tensor, weights: Tensor) -> dict[str, Tensor]:
    """Loss and number of tokens of a batch, float64.

    Args:
        per_token: [B, L] losses, already multiplied by the weights.
        weights: [B, L], 0 for padding.
    """
    return {
        "loss": per_token.sum(dtype=torch.float64),
        "tokens": weights.sum(dtype=torch.float64),
    }


def perplexity(sums: dict[str, float]) -> dict[str, float]:
    """Mean loss and ppl = exp(loss); no sums at all (a split without examples): 0 and 1, as the
    reference reports them.
    """
    loss = sums["loss"] / sums["tokens"] if sums else 0.0
    ppl = torch.tensor(loss, dtype=torch.float64).exp()  # infinite, where math.exp would fail
    return {"loss": loss, "ppl": ppl.item()}
