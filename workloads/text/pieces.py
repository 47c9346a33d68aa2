"""How does text become ids?  By a SentencePiece unigram model, trained in the preparation.

Ids: 0 unknown, 1 begin (never used), 2 end, which is appended to every text.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from algoperf_pt.errors import DataError
from algoperf_pt.optional import need

UNKNOWN, BEGIN, END = 0, 1, 2


class Pieces:
    """A trained model.

    Args:
        path: of the model file.

    Raises:
        DataError: no such file, or no SentencePiece model, or one with other special ids.
    """

    extra = "wmt"  # of setup.cfg, that brings SentencePiece

    def __init__(self, path: Path) -> None:
        sentencepiece = need("sentencepiece", self.extra)
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

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Ids of each text, the end appended."""
        ids: list[list[int]] = self._model.encode(list(texts), add_eos=True)
        return ids

    def decode(self, rows: Sequence[Sequence[int]]) -> list[str]:
        """Text of rows of ids; begin and end give nothing."""
        texts: list[str] = self._model.decode([list(row) for row in rows])
        return texts


def train(texts: Iterable[str], out: Path, size: int, extra: str, **settings: Any) -> None:
    """Train a model of `size` pieces and write it, whole or not at all; the same bytes for the same
    texts.

    Args:
        texts: one a line of what would be a file; a file's name would become part of the model.
        out: where the model belongs.
        size: pieces.
        extra: of setup.cfg, that brings SentencePiece.
        settings: of its trainer, in place of its defaults.

    Raises:
        DataError: the text is too small for so many pieces.
    """
    trainer = need("sentencepiece", extra).SentencePieceTrainer
    partial = out.with_name(f".{out.name}.partial")
    try:
        with partial.open("wb") as file:
            trainer.train(
                sentence_iterator=iter(texts),
                model_writer=file,
                vocab_size=size,
                character_coverage=1.0,
                model_type="unigram",
                minloglevel=2,
                **settings,
            )
    except (OSError, RuntimeError) as error:
        partial.unlink(missing_ok=True)
        raise DataError(
            f"a vocabulary of {size} pieces cannot be trained: {str(error).splitlines()[0]}",
            expected="enough text for it in the training corpora",
            fix="look whether the corpora are complete",
        ) from error
    partial.replace(out)
