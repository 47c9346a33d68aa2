"""Which translation does the model find best?  Beam search for a whole batch on the device.

Shapes: B sentences, K beams, L the longest output with its start token, V vocabulary.
Source: AlgoPerf's wmt workload (arXiv 2306.07179, appendix), with its length penalty (Wu et al.
2016, https://arxiv.org/abs/1609.08144) and its rule of when a sentence is settled.
"""

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

_NEVER = -1.0e7  # score of what must not be chosen
_CHECK_EVERY = 8  # steps between looks at whether all is settled: each look waits for the device


class Scorer(Protocol):
    """A model that reads one token a beam at a time."""

    def step(self, tokens: Tensor) -> Tensor:
        """Logits [B, K, V] after the tokens [B, K], which continue the beams read so far."""

    def reorder(self, parents: Tensor) -> None:
        """Beam k continues what beam parents[:, k] has read; parents int64 [B, K]."""


@dataclass
class Beams:
    """Result: `sequences` int64 [B, K, L] with the start token, best last; `scores` [B, K];
    `steps`: how often the scorer was called.
    """

    sequences: Tensor
    scores: Tensor
    steps: int

    @property
    def best(self) -> Tensor:
        """int64 [B, L - 1]: the best sequence of each sentence, without its start token."""
        return self.sequences[:, -1, 1:]


@dataclass
class _State:
    """Beams in ascending order of their scores: [B, K] and [B, K, L]."""

    live_scores: Tensor
    live: Tensor
    done_scores: Tensor
    done: Tensor
    done_flags: Tensor


def beam_search(
    scorer: Scorer,
    batch: int,
    device: torch.device,
    beams: int = 4,
    alpha: float = 0.6,
    eos: int = 2,
    length: int = 256,
    check_every: int = _CHECK_EVERY,
) -> Beams:
    """Search for the best sequences of `batch` sentences.

    Steps after the moment when every sentence is settled change nothing, so looking only now and
    then whether it has come costs a few steps and saves a wait for the device in each.

    Args:
        scorer: the model, which has read nothing yet.
        batch, device: B, and where the scorer computes.
        beams: K.
        alpha: exponent of the length penalty.
        eos: token that ends a sequence.
        length: L.
        check_every: steps from one look to the next.
    """
    state = _start(batch, beams, length, device)
    steps = 0
    for i in range(length - 1):
        if i % check_every == 0 and bool(_settled(state, alpha, length).all()):
            break
        logits = scorer.step(state.live[:, :, i])
        steps += 1
        scores, parents, tokens = _candidates(logits, state.live_scores)
        grown = _pick(state.live, parents)
        grown[:, :, i + 1 :] = tokens[..., None]
        ended = tokens == eos
        chosen = _advance_live(state, scores, grown, ended)
        scorer.reorder(parents.gather(1, chosen))
        _advance_done(state, scores / _penalty(i + 1, alpha), grown, ended)
    any_done = state.done_flags.any(1)
    sequences = torch.where(any_done[:, None, None], state.done, state.live)
    found = torch.where(any_done[:, None], state.done_scores, state.live_scores)
    return Beams(sequences, found, steps)


def _start(batch: int, beams: int, length: int, device: torch.device) -> _State:
    live_scores = torch.full((batch, beams), _NEVER, device=device)
    live_scores[:, 0] = 0.0
    empty = torch.zeros(batch, beams, length, dtype=torch.int64, device=device)
    never = torch.full((batch, beams), _NEVER, device=device)
    flags = torch.zeros(batch, beams, dtype=torch.bool, device=device)
    return _State(live_scores, empty, never, empty.clone(), flags)


def _candidates(logits: Tensor, live_scores: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(scores, parents, tokens) [B, 2 K]: the best continuations of all beams together.

    The best 2 K of a sentence are among the best 2 K of each of its beams.
    """
    count = 2 * live_scores.shape[1]
    total = torch.logsumexp(logits, -1, keepdim=True)
    values, tokens = logits.topk(min(count, logits.shape[-1]), -1)  # [B, K, 2 K]
    scores = values - total + live_scores[..., None]
    best, places = scores.flatten(1).topk(count, -1)
    return best, places // scores.shape[-1], tokens.flatten(1).gather(1, places)


def _advance_live(state: _State, scores: Tensor, grown: Tensor, ended: Tensor) -> Tensor:
    """Keep the best that have not ended; returns their places among the candidates [B, K]."""
    open_scores = scores + ended * _NEVER
    state.live_scores, chosen = _best(open_scores, state.live_scores.shape[1])
    state.live = _pick(grown, chosen)
    return chosen


def _advance_done(state: _State, scores: Tensor, grown: Tensor, ended: Tensor) -> None:
    """Merge the candidates that have ended with those that ended before."""
    every = torch.cat([state.done_scores, scores + ~ended * _NEVER], 1)
    state.done_scores, chosen = _best(every, state.done_scores.shape[1])
    state.done = _pick(torch.cat([state.done, grown], 1), chosen)
    state.done_flags = torch.cat([state.done_flags, ended], 1).gather(1, chosen)


def _settled(state: _State, alpha: float, length: int) -> Tensor:
    """bool [B]: no live beam can still beat the worst of the ended ones."""
    bound = state.live_scores[:, -1] / _penalty(length, alpha)
    return state.done_flags.all(1) & (state.done_scores.min(1).values > bound)


def _best(scores: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """(scores, places) of the `count` largest, in ascending order."""
    best, places = scores.topk(count, -1)
    return best.flip(-1), places.flip(-1)


def _pick(sequences: Tensor, places: Tensor) -> Tensor:
    """[B, M, L], [B, N] -> [B, N, L]."""
    return sequences.gather(1, places[..., None].expand(-1, -1, sequences.shape[-1]))


def _penalty(length: int, alpha: float) -> float:
    return float(((5.0 + length) / 6.0) ** alpha)
