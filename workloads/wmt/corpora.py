"""Where does a sentence pair come from?  From parallel files inside the archives of statmt.org.

Line i of both files is a pair; lines end at a line feed and at nothing else; a pair with an empty
side is dropped.  In .sgm files the lines `<seg id="N">...</seg>` count, entities are left as they
are.
"""

import re
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from algoperf_pt.errors import DataError

_SEGMENT = re.compile(rb'^<seg id="\d+">(.*)</seg>\s*$')


@dataclass(frozen=True)
class Corpus:
    """Two files of one archive.

    Args:
        name: as in the keys by which the reference orders its examples.
        archive: file name.
        source, target: members, German and English; their folders do not matter.
    """

    name: str
    archive: str
    source: str
    target: str

    def path(self, folder: Path, side: str) -> Path:
        """Where `unpack` puts a side ("source" or "target")."""
        return folder / PurePosixPath(getattr(self, side)).name


TRAIN = (
    Corpus(
        "europarl_v7",
        "training-parallel-europarl-v7.tgz",
        "training/europarl-v7.de-en.de",
        "training/europarl-v7.de-en.en",
    ),
    Corpus(
        "commoncrawl",
        "training-parallel-commoncrawl.tgz",
        "commoncrawl.de-en.de",
        "commoncrawl.de-en.en",
    ),
    Corpus(
        "newscommentary_v12",
        "training-parallel-nc-v12.tgz",
        "training/news-commentary-v12.de-en.de",
        "training/news-commentary-v12.de-en.en",
    ),
    Corpus("rapid_2016", "rapid2016.tgz", "rapid2016.de-en.de", "rapid2016.de-en.en"),
)
VALIDATION = Corpus("newstest2013", "dev.tgz", "dev/newstest2013.de", "dev/newstest2013.en")
TEST = Corpus(
    "newstest2014",
    "dev.tgz",
    "dev/newstest2014-deen-src.de.sgm",
    "dev/newstest2014-deen-ref.en.sgm",
)
ALL = (*TRAIN, VALIDATION, TEST)


def unpack(archive: Path, corpora: list[Corpus], folder: Path) -> None:
    """Extract the sides of an archive's corpora into `folder`, unless they are there.

    Raises:
        DataError: the archive is damaged, or lacks a side.
    """
    sides = [corpus.path(folder, side) for corpus in corpora for side in ("source", "target")]
    wanted = {path.name: path for path in sides if not path.exists()}
    try:
        with tarfile.open(archive, "r:*") as tar:
            while wanted and (member := tar.next()) is not None:
                name = PurePosixPath(member.name).name
                stream = tar.extractfile(member) if name in wanted else None
                if stream is None:
                    continue
                partial = folder / f".{name}.partial"
                with partial.open("wb") as out:
                    while chunk := stream.read(1 << 22):
                        out.write(chunk)
                partial.replace(wanted.pop(name))
    except (EOFError, OSError, tarfile.TarError, zlib.error) as error:
        raise DataError(
            f"{archive} cannot be unpacked: {error}",
            fix="it is truncated or corrupt: fetch it again",
        ) from error
    if wanted:
        raise DataError(
            f"{archive} has no member {', '.join(sorted(wanted))}",
            expected="both sides of the parallel corpus",
            fix="it is of another release: fetch it again",
        )


def pairs(corpus: Corpus, folder: Path) -> Iterator[tuple[int, bytes, bytes]]:
    """(line number from 0, source, target) of every pair with two sides, as UTF-8 bytes.

    Raises:
        DataError: files of different lengths, without lines, or with bytes that are no UTF-8.
    """
    source, target = (corpus.path(folder, side) for side in ("source", "target"))
    counts = (sum(1 for _ in lines(source)), sum(1 for _ in lines(target)))
    if counts[0] != counts[1]:
        raise DataError(
            f"{source.name} has {counts[0]} lines, {target.name} has {counts[1]}",
            expected="as many lines in one language as in the other",
            where=corpus.archive,
            fix="one of the files is truncated or of another release: fetch the archive again",
        )
    if counts[0] == 0:
        raise DataError(f"{source.name} has no sentences", where=corpus.archive)
    for number, (german, english) in enumerate(zip(lines(source), lines(target))):
        if german and english:
            for path, line in ((source, german), (target, english)):
                _check_utf8(path, number, line, corpus)
            yield number, german, english


def lines(path: Path) -> Iterator[bytes]:
    """Lines without their line feed; of an .sgm file the segments."""
    with path.open("rb") as file:
        for line in file:  # bytes: split at line feeds alone
            if path.suffix != ".sgm":
                yield line.removesuffix(b"\n")
            elif match := _SEGMENT.match(line):
                yield match[1]


def _check_utf8(path: Path, number: int, line: bytes, corpus: Corpus) -> None:
    try:
        line.decode()
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path.name}, line {number + 1}: bytes that are no UTF-8 ({error.reason} at "
            f"{error.start}: {line[error.start : error.start + 8]!r})",
            where=corpus.archive,
            fix="the file was changed on the way or is of another release: fetch it again",
        ) from error
