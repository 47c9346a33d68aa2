"""How does a transcript become ids, and ids text?  By a SentencePiece model of the training text.

Id 0, unknown, is at the same time CTC's blank: a transcript never holds it.
"""

from workloads.text.pieces import END, Pieces, train

__all__ = ["END", "EXTRA", "FILE", "Vocabulary", "train"]

FILE = "sentencepiece.model"  # beside the shards
EXTRA = "librispeech"  # of setup.cfg


class Vocabulary(Pieces):
    """A trained model: `encode` appends the end, `decode` leaves it out."""

    extra = EXTRA
