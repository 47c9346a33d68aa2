"""How does text become ids?  By one SentencePiece model for both languages.

Id 0 is unknown and, in batches, padding.
"""

from collections.abc import Sequence
from pathlib import Path

from workloads.text import pieces
from workloads.text.pieces import BEGIN, END, UNKNOWN

__all__ = ["BEGIN", "END", "UNKNOWN", "Vocabulary", "train"]


class Vocabulary(pieces.Pieces):
    """A trained model."""

    def decode(self, rows: Sequence[Sequence[int]]) -> list[str]:
        """Text of rows of ids, each cut behind its first end.

        A row without an end keeps its first id alone, as in the reference (docs/deviations.md).
        """
        return super().decode([_cut(list(row)) for row in rows])


def _cut(row: list[int]) -> list[int]:
    return row[: row.index(END) + 1] if END in row else row[:1]


def train(sample: Path, out: Path, size: int) -> None:
    """Train a model of `size` pieces on a text file of one sentence a line; written at once.

    Raises:
        DataError: the text is too small for so many pieces.
    """
    with sample.open("rb") as lines:
        texts = (line.removesuffix(b"\n").decode() for line in lines)
        pieces.train(texts, out, size, "wmt")
