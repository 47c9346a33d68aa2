"""How does the model read a translation token by token?  With its keys and values kept.

Every beam's keys and values stay where they were written.  When a beam continues another one, only
a table of who descends from whom is reordered: `ancestors` [B, K, steps * K] says which of the
entries belong to the past of a beam, and serves as the mask of the attention.  So nothing large is
ever copied, and the keys of a sentence are read once for its K beams together.

Shapes: B sentences, K beams, H heads, d width of a head, D width, S source length, V vocabulary.
"""

import torch
from torch import Tensor

from workloads.wmt.layers import SelfAttention
from workloads.wmt.model import DecoderLayer, Transformer, allowed, segments

_FIRST_STEPS = 32  # that there is room for at the start; doubled when they are used up


class Decoder:
    """Reads the translations of a batch of sources; a `Scorer` of the beam search.

    Args:
        model: in evaluation mode.
        inputs: source tokens [B, S], 0 is padding.
        beams: K.
    """

    def __init__(self, model: Transformer, inputs: Tensor, beams: int) -> None:
        self._model, self._beams, self._step = model, beams, 0
        memory = model.encode(inputs)
        # every beam sees the whole source, and all beams of a sentence share its keys and values
        self._source_mask = allowed(torch.ones_like(inputs[:, :1]), segments(inputs, None))
        layers: list[DecoderLayer] = list(model.decoder.layers)
        self._layers = [(layer, layer.cross_attn.keys_and_values(memory)) for layer in layers]
        self._pasts = [_Past(layer.self_attn) for layer in layers]
        self._ancestors = memory.new_zeros(len(inputs), beams, 0, dtype=torch.bool)
        self._own = torch.eye(beams, dtype=torch.bool, device=inputs.device).expand(
            len(inputs), beams, beams
        )

    def step(self, tokens: Tensor) -> Tensor:
        """Logits [B, K, V] after one more token [B, K] of each beam."""
        model = self._model
        position = torch.full_like(tokens, self._step)
        self._step += 1
        self._ancestors = torch.cat([self._ancestors, self._own], 2)
        mask = self._ancestors[:, None]
        x = model.embed(tokens, position)  # [B, K, D]: beams in the place of positions
        for (layer, source), past in zip(self._layers, self._pasts):
            x = layer.residual1.after(x, past.attend(layer.residual1.before(x), mask))
            x = layer.rest(x, source, self._source_mask)
        return model.logits(model.decoder.norm(x))

    def reorder(self, parents: Tensor) -> None:
        """Beam k continues beam parents[:, k]: [B, K]."""
        index = parents[..., None].expand(-1, -1, self._ancestors.shape[-1])
        self._ancestors = self._ancestors.gather(1, index)


class _Past:
    """Keys and values [B, H, steps * K, d] of one layer, K new ones a step."""

    def __init__(self, attention: SelfAttention) -> None:
        self._attention, self._used = attention, 0
        self._kept: tuple[Tensor, ...] = ()

    def attend(self, x: Tensor, mask: Tensor) -> Tensor:
        """[B, K, D] -> [B, K, D]; mask [B, 1, K, steps * K]."""
        q, *new = self._attention.split(self._attention.in_proj(x), 3)
        self._make_room(new[0])
        start, self._used = self._used, self._used + x.shape[1]
        for kept, fresh in zip(self._kept, new):
            kept[:, :, start : self._used] = fresh
        past = (kept[:, :, : self._used] for kept in self._kept)
        return self._attention.attend(q, *past, mask)

    def _make_room(self, like: Tensor) -> None:
        batch, heads, beams, width = like.shape
        room = self._kept[0].shape[2] if self._kept else 0
        if self._used + beams <= room:
            return
        larger = like.new_empty(batch, heads, max(_FIRST_STEPS * beams, 2 * room), width)
        self._kept = tuple(self._copied(larger, n) for n in range(2))

    def _copied(self, larger: Tensor, number: int) -> Tensor:
        fresh = torch.empty_like(larger)
        if self._kept:
            fresh[:, :, : self._used] = self._kept[number][:, :, : self._used]
        return fresh
