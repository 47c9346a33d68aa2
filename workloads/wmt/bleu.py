"""How good is a set of translations?  Corpus BLEU, as sums that can be added over ranks.

sacrebleu tokenises (mteval-v13a) and counts; the score is made from the sums by its formula, apart
from one case: where no word matches at all, every order is smoothed as the reference does it
(sacrebleu says 0).  Source: Papineni et al. 2002; Post 2018 (https://arxiv.org/abs/1804.08771).
"""

import math
from collections.abc import Sequence

from algoperf_pt.optional import need

ORDERS = 4
NAMES = (
    "bleu_system_length",
    "bleu_reference_length",
    *(f"bleu_{kind}_{n}" for kind in ("correct", "total") for n in range(1, ORDERS + 1)),
)


def bleu_sums(hypotheses: Sequence[str], references: Sequence[str]) -> dict[str, float]:
    """Lengths, matches and totals of the 1- to 4-grams; whole numbers, by `NAMES`."""
    if not hypotheses:
        return dict.fromkeys(NAMES, 0.0)
    bleu = need("sacrebleu.metrics", "wmt").BLEU(force=True)  # force: no warning about tokens
    found = bleu.corpus_score(list(hypotheses), [list(references)])
    numbers = (found.sys_len, found.ref_len, *found.counts, *found.totals)
    return dict(zip(NAMES, map(float, numbers)))


def bleu_score(sums: dict[str, float]) -> float:
    """BLEU in percent from the sums of `bleu_sums`."""
    system, reference, *counts = (sums[name] for name in NAMES)
    correct, total = counts[:ORDERS], counts[ORDERS:]
    if min(total) == 0:
        return 0.0
    logs, zeros = 0.0, 0
    for matches, n in zip(correct, total):
        if matches == 0:  # exponential smoothing: 1/2, 1/4, ... of a match
            zeros += 1
        logs += math.log(100.0 * matches / n if matches else 100.0 / (2.0**zeros * n))
    penalty = 1.0 if system >= reference else math.exp(1.0 - reference / system)
    return penalty * math.exp(logs / ORDERS)
