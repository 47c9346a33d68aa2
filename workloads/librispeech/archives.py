"""Which utterances are in an archive?  Each transcript with the place of its sound, sorted, and
what is wrong with some.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from algoperf_pt.errors import DataError
from workloads.imagenet.archives import Member, members, read
from workloads.librispeech.audio import HEADER, AudioError, Header

T = TypeVar("T")

_NAME = re.compile(r"(?:\./)?LibriSpeech/([^/]+)/(\d+)/(\d+)/(\2-\3(?:-\d+\.flac|\.trans\.txt))")
_KEY = re.compile(r"\d+-\d+-\d+")
_STRANGE = re.compile("[^A-Z' ]")
_AGAIN = "it is incomplete or of another release: fetch it again"


@dataclass(frozen=True)
class Utterance:
    """A sentence that was read.

    Args:
        key: speaker-chapter-number, as the release names it.
        text: its transcript.
        sound: where its FLAC file lies; None: there is none.
        samples: of the sound, as its header says.
        flaw: why it cannot be used; empty: it can.
        counted: whether it is known that the limits of length would have kept it or not.
    """

    key: str
    text: str
    sound: Member | None
    samples: int
    flaw: str = ""
    counted: bool = True

    @property
    def place(self) -> tuple[int, ...]:
        """Sorts utterances by speaker, chapter and number."""
        return tuple(int(part) for part in self.key.split("-"))


def utterances(path: Path, subset: str, known_as: str) -> list[Utterance]:
    """All that an archive says something about, sorted by speaker, chapter and number.

    Args:
        path: the archive, without its gzip.
        subset: name of the folder within it.
        known_as: name of the raw file in messages.

    Raises:
        DataError: it is no tar file, holds another subset, names what nobody expects, or an
            utterance twice.
    """
    found = [member for member in members(path, known_as=known_as) if _belongs(member)]
    _check_names(found, subset, known_as)
    sounds = [member for member in found if member.name.endswith(".flac")]
    transcripts = [member for member in found if not member.name.endswith(".flac")]
    texts = _unique(known_as, _lines(path, transcripts, known_as))
    places = _unique(known_as, ((sound.stem, sound) for sound in sounds))
    headers = {member.stem: _header(data) for member, data in _beginnings(path, sounds)}
    every = [_join(key, texts, places, headers) for key in texts.keys() | places.keys()]
    return sorted(every, key=lambda utterance: utterance.place)


def _belongs(member: Member) -> bool:
    """Not what lies beside the sound: lists of speakers and books, a licence."""
    return member.name.endswith((".flac", ".trans.txt"))


def _check_names(found: list[Member], subset: str, known_as: str) -> None:
    expected = f"LibriSpeech/{subset}/SPEAKER/CHAPTER/SPEAKER-CHAPTER-NUMBER.flac and .trans.txt"
    for member in found:
        match = _NAME.fullmatch(member.name)
        if match is None or match[1] != subset:
            raise DataError(f"{known_as} holds {member.name}", expected=expected, fix=_AGAIN)
    if not found:
        raise DataError(f"{known_as} holds no utterances", expected=expected, fix=_AGAIN)


def _unique(known_as: str, pairs: Iterator[tuple[str, T]]) -> dict[str, T]:
    found: dict[str, T] = {}
    for key, value in pairs:
        if key in found:
            what = "the sound" if isinstance(value, Member) else "the transcript"
            raise DataError(f"{known_as} holds {what} of {key} twice", fix=_AGAIN)
        found[key] = value
    return found


def _lines(path: Path, files: list[Member], known_as: str) -> Iterator[tuple[str, str]]:
    """(key, text) of each line of the transcripts."""
    for member, data in read(path, files):
        chapter = member.file.removesuffix(".trans.txt")
        for number, line in enumerate(data.decode(errors="replace").splitlines(), 1):
            key, _, text = line.strip().partition(" ")
            if not _KEY.fullmatch(key) or key.rpartition("-")[0] != chapter:
                raise DataError(
                    f"{known_as}, {member.name}, line {number} begins with {key[:40]!r}",
                    expected=f"{chapter}-NUMBER, then the text",
                    fix=_AGAIN,
                )
            yield key, text.strip()


def _beginnings(path: Path, sounds: list[Member]) -> Iterator[tuple[Member, bytes]]:
    heads = [Member(m.name, m.offset, min(m.size, HEADER)) for m in sounds]
    return read(path, heads)


def _header(data: bytes) -> Header | AudioError:
    try:
        header = Header.of(data)
        header.check()
    except AudioError as error:
        return error
    return header


def _join(
    key: str,
    texts: dict[str, str],
    places: dict[str, Member],
    headers: dict[str, Header | AudioError],
) -> Utterance:
    text, sound, header = texts.get(key), places.get(key), headers.get(key)
    if text is None:
        return Utterance(key, "", sound, 0, "it has no transcript", counted=False)
    if sound is None or header is None:
        return Utterance(key, text, None, 0, "it has a transcript and no sound", counted=False)
    if isinstance(header, AudioError):
        return Utterance(key, text, sound, 0, str(header), counted=False)
    return Utterance(key, text, sound, header.samples, text_flaw(text))


def text_flaw(text: str) -> str:
    """What is wrong with a transcript; empty: nothing."""
    strange = _STRANGE.search(text)
    if strange is not None:
        return f"its transcript holds {strange[0]!r}, not just A to Z, apostrophes and spaces"
    return "" if text else "its transcript is empty"
