"""How many words are wrong?  Edit distance over words, by the benchmark's rule and by the usual
one.

The benchmark's reference compares what TensorFlow prints for a text, quotes and all; its published
targets are measured so.
"""

from collections.abc import Sequence

from algoperf_pt.optional import need

NAMES = ("errors", "words", "plain_errors", "plain_words")


def wer_sums(hypotheses: Sequence[str], references: Sequence[str]) -> dict[str, float]:
    """Word errors and words of the references, by the benchmark's rule (`errors`, `words`) and by
    the usual one (`plain_errors`, `plain_words`), summed over the utterances.

    Args:
        hypotheses, references: texts, pair by pair.
    """
    printed = _sums([[printed_words(text) for text in side] for side in (hypotheses, references)])
    plain = _sums([[text.split() for text in side] for side in (hypotheses, references)])
    return dict(zip(NAMES, (*printed, *plain)))


def printed_words(text: str) -> list[str]:
    """Words of the text as the reference sees it: the printed form of a TensorFlow string.

    Two words more, always right; the quotes belong to the first and the last word, and are others
    if the text has an apostrophe.
    """
    return f"tf.Tensor({text.encode()!r}, shape=(), dtype=string)".split()


def _sums(sides: list[list[list[str]]]) -> tuple[float, float]:
    distance = need("rapidfuzz.distance", "librispeech").Levenshtein.distance
    hypotheses, references = sides
    errors = sum(distance(found, real) for found, real in zip(hypotheses, references, strict=True))
    return float(errors), float(sum(map(len, references)))
