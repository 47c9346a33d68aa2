"""How does text become ids?  By GPT-2's byte-level BPE, from files that the user has.

Three forms are known: `vocab.bpe` with `encoder.json` (OpenAI's names), `merges.txt` with
`vocab.json` (the same under Hugging Face's names), or `gpt2.tiktoken` (base64 and rank a line).
A token's rank is its id; the end-of-text id comes after all of them.
Source: Radford et al. 2019, "Language Models are Unsupervised Multitask Learners", section 2.2.
"""

import base64
import binascii
import json
from pathlib import Path
from typing import Any

import numpy as np

from algoperf_pt.errors import DataError
from algoperf_pt.optional import need

END = "<|endoftext|>"
FORMS = (("vocab.bpe", "encoder.json"), ("merges.txt", "vocab.json"), ("gpt2.tiktoken",))
# What BPE never merges across: contractions, words, numbers and punctuation, each with the space
# before it, and other white space.
_PIECES = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
_BYTES = 256

Ids = np.ndarray[Any, np.dtype[np.uint16]]


class Tokenizer:
    """Text to ids.

    Args:
        ranks: token -> id, for all but the end-of-text token.

    `end`: id of the end-of-text token, the last one.
    """

    def __init__(self, ranks: dict[bytes, int]) -> None:
        tiktoken = need("tiktoken", "finewebedu_lm")
        self.end = len(ranks)
        self._encoding = tiktoken.Encoding(
            "gpt2", pat_str=_PIECES, mergeable_ranks=ranks, special_tokens={END: self.end}
        )

    def encode(self, text: str) -> Ids:
        """Ids of a text; the end-of-text token is known wherever its name stands."""
        ids = self._encoding.encode_to_numpy(text, allowed_special="all")
        small: Ids = ids.astype(np.uint16)
        return small

    def document(self, text: str) -> Ids:
        """Ids of a document and of the end of text; none at all for an empty one."""
        return self.encode(text + END if text else "")

    def decode(self, ids: Ids) -> str:
        """The text of ids."""
        text: str = self._encoding.decode(ids.tolist())
        return text


def tokenizer_files(folder: Path) -> list[Path]:
    """The files of the first form that is complete in `folder`."""
    for form in FORMS:
        paths = [folder / name for name in form]
        if all(path.is_file() for path in paths):
            return paths
    raise DataError(
        f"{folder} holds no tokenizer",
        expected="GPT-2's files: " + ", or ".join(" and ".join(form) for form in FORMS),
        fix="put them there (docs/workloads/finewebedu_lm.md says where they can be had)",
    )


def load_tokenizer(files: list[Path], vocabulary: int) -> Tokenizer:
    """The tokenizer of the files that `tokenizer_files` found.

    Raises:
        DataError: a file that cannot be read, two files that do not fit together, or a vocabulary
            of another size.
    """
    ranks = _from_ranks(files[0]) if len(files) == 1 else _from_merges(*files)
    if len(ranks) + 1 != vocabulary:
        raise DataError(
            f"{files[-1]} is a tokenizer of the wrong vocabulary: {len(ranks) + 1} ids",
            expected=f"{vocabulary}, the last of them {END}",
            fix="use the files of GPT-2, whole",
        )
    return Tokenizer(ranks)


def byte_characters() -> dict[int, str]:
    """Byte -> the printable character that stands for it in the files, in the order of the ids:
    bytes that print stand for themselves, the others for the characters from 256 on.
    """
    prints = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(_BYTES) if byte not in prints]
    characters = {byte: chr(byte) for byte in prints}
    return characters | {byte: chr(_BYTES + number) for number, byte in enumerate(others)}


def _from_merges(merges: Path, vocab: Path) -> dict[bytes, int]:
    characters = byte_characters()
    ranks = {bytes([byte]): rank for rank, byte in enumerate(characters)}
    known = {character: bytes([byte]) for byte, character in characters.items()}
    for number, line in enumerate(_read(merges).split("\n"), 1):
        if not line or (number == 1 and line.startswith("#version")):
            continue
        parts = line.split(" ")
        joined = "".join(parts)
        if len(parts) != 2 or any(part not in known for part in parts) or joined in known:
            raise DataError(
                f"{merges}, line {number}: {line!r} merges no two tokens into a new one",
                expected="two tokens that are there by then, with a space between them",
            )
        known[joined] = known[parts[0]] + known[parts[1]]
        ranks[known[joined]] = len(ranks)
    _compare(merges, vocab, {token: ranks[data] for token, data in known.items()})
    return ranks


def _compare(merges: Path, vocab: Path, expected: dict[str, int]) -> None:
    """The vocabulary must give each token the id that follows from the merges."""
    try:
        found = json.loads(_read(vocab))
    except ValueError as error:
        raise DataError(f"{vocab} cannot be read: {error}", expected="a JSON object") from error
    expected = expected | {END: len(expected)}
    if not isinstance(found, dict):
        found = {}
    differ = [t for t in (*expected, *found) if found.get(t) != expected.get(t)]
    if differ:
        token = differ[0]
        raise DataError(
            f"{merges} and {vocab} do not fit together: {len(set(differ))} tokens differ, first "
            f"{token!r} with the id {found.get(token)}",
            expected=f"{expected.get(token)}, as follows from the merges",
            fix="take both files from one place",
        )


def _from_ranks(path: Path) -> dict[bytes, int]:
    ranks: dict[bytes, int] = {}
    for number, line in enumerate(_read(path).splitlines()):
        token, _, rank = line.partition(" ")
        try:
            data = base64.b64decode(token, validate=True)
        except binascii.Error:
            data = b""
        if not data or data in ranks or rank != str(number):
            raise DataError(
                f"{path}, line {number + 1}: {line!r} is no token with its rank",
                expected=f"base64 of a new token and {number}",
                fix="it is truncated or corrupt: fetch it again",
            )
        ranks[data] = number
    missing = [byte for byte in range(_BYTES) if bytes([byte]) not in ranks]
    if missing:
        raise DataError(f"{path} has no token for the byte {missing[0]}", expected="all 256 bytes")
    return ranks


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read: {error}", expected="UTF-8 text") from error
