"""How does text become ids?  By a SentencePiece unigram model, trained in the preparation.

One vocabulary for both languages.  Ids: 0 unknown (and, in batches, padding), 1 begin (never used),
2 end, which is appended to every sentence.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from algoperf_pt.errors import DataError
from algoperf_pt.optional import need

UNKNOWN, BEGIN, END = 0, 1, 2


class Vocabulary:
    """A trained model.

    Args:
        path: of the model file.

    Raises:
        DataError: no such file, or no SentencePiece model, or one with other special ids.
    """

    def __init__(self, path: Path) -> None:
        sentencepiece = need("sentencepiece", "wmt")
        try:
            self._model: Any = sentencepiece.SentencePieceProcessor(model_file=str(path))
        except (OSError, RuntimeError) as error:
            raise DataError(
                f"{path} is no SentencePiece model: {str(error).splitlines()[0]}",
                fix="prepare the data again with --force, or give the model they were made with",
            ) from error
        special = (self._model.unk_id(), self._model.bos_id(), self._model.eos_id())
        if special != (UNKNOWN, BEGIN, END):
            raise DataError(
                f"{path} has the ids {special} for unknown, begin and end",
                expected=f"{(UNKNOWN, BEGIN, END)}",
                fix="train it with SentencePiece's defaults for them",
            )

    def __len__(self) -> int:
        size: int = self._model.get_piece_size()
        return size

    def encode(self, sentences: Sequence[str]) -> list[list[int]]:
        """Ids of each sentence, the end appended."""
        ids: list[list[int]] = self._model.encode(list(sentences), add_eos=True)
        return ids

    def decode(self, rows: Sequence[Sequence[int]]) -> list[str]:
        """Text of rows of ids, each cut behind its first end.

        A row without an end keeps its first id alone, as in the reference (docs/deviations.md).
        """
        texts: list[str] = self._model.decode([_cut(list(row)) for row in rows])
        return texts


def _cut(row: list[int]) -> list[int]:
    return row[: row.index(END) + 1] if END in row else row[:1]


def train(sample: Path, out: Path, size: int) -> None:
    """Train a model of `size` pieces on a text file of one sentence a line; written at once.

    Raises:
        DataError: the text is too small for so many pieces.
    """
    trainer = need("sentencepiece", "wmt").SentencePieceTrainer
    partial = out.with_name(f".{out.name}.partial")
    try:
        with partial.open("wb") as file, sample.open("rb") as lines:
            trainer.train(
                # not by the file's name, which would become part of the model
                sentence_iterator=(line.removesuffix(b"\n").decode() for line in lines),
                model_writer=file,
                vocab_size=size,
                character_coverage=1.0,
                model_type="unigram",
                minloglevel=2,
            )
    except (OSError, RuntimeError) as error:
        raise DataError(
            f"a vocabulary of {size} pieces cannot be trained: {str(error).splitlines()[0]}",
            expected="enough text for it in the training corpora",
            fix="look whether the corpora are complete",
        ) from error
    partial.replace(out)
