"""LibriSpeech from the archives of openslr.org: sound as samples or FLAC, transcripts as ids.

Panayotov et al. 2015 (https://www.openslr.org/12).  Stored: a member for each utterance, sorted by
subset, speaker, chapter and number, with the parts `pcm` (int16 samples) or `flac` (the file as it
is), `token` (uint16 ids, the end included) and `length` (3 int32: samples, ids, and the output
frames that CTC needs).
"""

import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from algoperf_pt.data.preparer import Preparer, RawFile, Unreadable
from algoperf_pt.data.shards import Sample
from algoperf_pt.errors import ConfigError, DataError
from algoperf_pt.records import write_atomically
from workloads.imagenet.archives import Member, read, unpack_gzip
from workloads.librispeech.archives import Utterance, text_flaw, utterances
from workloads.librispeech.audio import AudioError, decode
from workloads.librispeech.data import CODECS, COUNTS
from workloads.librispeech.lengths import needed_frames, output_frames
from workloads.librispeech.vocabulary import EXTRA, FILE, Vocabulary, train

SUBSETS = {
    "train": ("train-clean-100", "train-clean-360", "train-other-500"),
    "validation": ("dev-clean", "dev-other"),
    "test": ("test-clean",),
}
_URL = "https://www.openslr.org/resources/12/"
_RELEASED = {
    "train-clean-100": "d4ddd1d5a6ab303066f14971d768ee43278a5f2a0aa43dc716b0e64ecbbbf6e2",
    "train-clean-360": "146a56496217e96c14334a160df97fffedd6e0a04e66b9c5af0d40be3c792ecf",
    "train-other-500": "ddb22f27f96ec163645d53215559df6aa36515f26e01dd70798188350adcb6d2",
    "dev-clean": "76f87d090650617fca0cac8f88b9416e0ebf80350acb97b343a85fa903728ab3",
    "dev-other": "12661c48e8c3fe1de2c1caa4c3e135193bfb1811584f11f569dd12645aa84365",
    "test-clean": "39fde525e59672dc6d1551919b1478f724438a95aa55f874b576be21967e6c23",
}
_OVERHEAD = 3584  # bytes a member: headers, ids, lengths, padding
_GROWTH = {"int16": 1.95, "flac": 1.0}  # shards over archives: FLAC halves speech
_UNPACKED = 1.02  # a tar file of FLAC over its gzip
_AT_ONCE = 64  # utterances decoded before they are written


@dataclass
class Counts:
    """What became of the utterances of a split.

    `unalignable` are among the kept: CTC has no alignment for them, their loss is infinite.
    """

    found: int = 0
    kept: int = 0
    too_long_sound: int = 0
    too_long_text: int = 0
    unreadable: int = 0
    unalignable: int = 0


@dataclass(frozen=True)
class _Kept:
    """An utterance that has a place in the shards, or would have had one."""

    utterance: Utterance
    archive: str  # unpacked, in the scratch folder
    known_as: str
    ids: "np.ndarray[tuple[int], np.dtype[np.uint16]]"
    needed: int  # output frames

    @property
    def name(self) -> str:
        """For messages."""
        return f"{self.known_as}, utterance {self.utterance.key}"


class LibrispeechPreparer(Preparer):
    """The six archives; every FLAC file is decoded once, to know that it can be.

    Args:
        utterances: that the archives of each split hold.
        rows: that are kept of each split.
        vocab_size: pieces of the vocabulary, trained on the first archive's transcripts.
        max_characters: longer transcripts are left out.
        max_samples: longer sounds are left out.
        codec: "int16" or "flac": how the sound is stored.
        released: the archives must be the released ones, to the last bit.
        name: of the dataset.
    """

    samples_per_shard = 1000  # and per unit; 390 MB of 12-s utterances
    assets = (FILE, COUNTS)

    def __init__(
        self,
        utterances: dict[str, int],
        rows: dict[str, int],
        vocab_size: int,
        max_characters: int,
        max_samples: int,
        codec: str = "int16",
        released: bool = True,
        name: str = "librispeech",
    ) -> None:
        if codec not in CODECS:
            raise ConfigError(
                f"sound cannot be stored as {codec!r}",
                expected=" or ".join(CODECS),
                where="workload.prepare.codec",
            )
        self.name, self.codec, self.options = name, codec, {"codec": codec}
        self.utterances, self.rows, self.vocab_size = utterances, rows, vocab_size
        self.max_characters, self.max_samples = max_characters, max_samples
        self.raw_files = tuple(
            RawFile(f"{subset}.tar.gz", f"{_URL}{subset}.tar.gz", sha256 if released else None)
            for subset, sha256 in _RELEASED.items()
        )
        self._kept: dict[str, list[_Kept]] = {}

    def expected_rows(self, split: str) -> int:
        return self.rows[split]

    def members(self, split: str) -> int:
        return self.rows[split]

    def estimate_bytes(self, raw: Path) -> int:
        """Of the shards, and of the archives without their gzip while preparing."""
        packed = sum((raw / file.name).stat().st_size for file in self.raw_files)
        members = _OVERHEAD * sum(self.rows.values())
        return int(packed * (_UNPACKED + _GROWTH[self.codec])) + members

    def begin(self, raw: Path, out: Path, scratch: Path) -> None:
        """Unpack the archives, look at every header, train the vocabulary, and decide what is
        kept: what is missing shows before anything is written.
        """
        self._scratch = scratch
        for file in self.raw_files:
            unpack_gzip(raw / file.name, scratch / file.name.removesuffix(".gz"))
        found = {name: self._utterances(raw, name) for part in SUBSETS.values() for name in part}
        for split, subsets in SUBSETS.items():
            self._check_found(split, sum(len(found[name]) for name in subsets))
        if not (out / FILE).exists():
            texts = (u.text for u in found[SUBSETS["train"][0]] if not text_flaw(u.text))
            train(texts, out / FILE, self.vocab_size, EXTRA)
        vocabulary = Vocabulary(out / FILE)
        counts = {split: self._choose(split, found, vocabulary) for split in SUBSETS}
        self._check_readable()
        self._check_kept(counts)
        write_atomically(out / COUNTS, json.dumps({k: asdict(v) for k, v in counts.items()}))
        for split, count in counts.items():
            print(_report(split, count), flush=True)

    def units(self, split: str, raw: Path) -> Sequence[str]:
        """One for each shard."""
        count, step = len(self._kept[split]), self.samples_per_shard
        return [f"{first:06d}" for first in range(0, count, step)]

    def unit_samples(self, split: str, raw: Path, unit: str) -> Iterator[Sample | Unreadable]:
        """Threads decode: libsndfile lets Python go on meanwhile."""
        first = int(unit)
        wanted = self._kept[split][first : first + self.samples_per_shard]
        with ThreadPoolExecutor() as pool:
            for start in range(0, len(wanted), _AT_ONCE):
                yield from pool.map(self._sample, wanted[start : start + _AT_ONCE])

    def _sample(self, kept: _Kept) -> Sample | Unreadable:
        utterance, name = kept.utterance, kept.name
        if utterance.flaw:
            return Unreadable(name, utterance.flaw, 1 if utterance.counted else None)
        assert isinstance(utterance.sound, Member)  # or it would have a flaw
        ((_, data),) = read(self._scratch / kept.archive, [utterance.sound])
        try:
            samples = decode(data)
        except AudioError as error:
            return Unreadable(name, str(error))
        lengths = np.array([len(samples), len(kept.ids), kept.needed], np.int32)
        parts = {
            CODECS[self.codec]: samples.tobytes() if self.codec == "int16" else data,
            "token": kept.ids.tobytes(),
            "length": lengths.tobytes(),
        }
        return Sample(utterance.key, parts)

    def _utterances(self, raw: Path, subset: str) -> list[Utterance]:
        known_as = str(raw / f"{subset}.tar.gz")
        return utterances(self._scratch / f"{subset}.tar", subset, known_as)

    def _choose(
        self, split: str, found: dict[str, list[Utterance]], vocabulary: Vocabulary
    ) -> Counts:
        """Fill `_kept` of a split."""
        counts, kept = Counts(), self._kept.setdefault(split, [])
        for subset in SUBSETS[split]:
            every = found[subset]
            for utterance, ids in zip(every, vocabulary.encode([u.text for u in every])):
                if self._fits(utterance, counts):
                    row = np.array(ids, np.uint16)
                    needed = int(needed_frames(row[None].astype(np.int64), np.array([len(row)]))[0])
                    files = f"{subset}.tar", f"{subset}.tar.gz"
                    kept.append(_Kept(utterance, *files, row, needed))
                    late = not utterance.flaw and needed > output_frames(utterance.samples)
                    counts.unalignable += late
        return counts

    def _fits(self, utterance: Utterance, counts: Counts) -> bool:
        """Whether an utterance has a place in the shards (one with a flaw has)."""
        counts.found += 1
        if len(utterance.text) > self.max_characters:
            counts.too_long_text += 1
        elif utterance.samples > self.max_samples:
            counts.too_long_sound += 1
        elif utterance.flaw:
            counts.unreadable += 1
            return True
        else:
            counts.kept += 1
            return True
        return False

    def _check_found(self, split: str, found: int) -> None:
        if found != self.utterances[split]:
            raise DataError(
                f"{', '.join(SUBSETS[split])} hold {found} utterances together",
                expected=f"{self.utterances[split]} for the split {split!r}",
                fix="the archives are incomplete or of another release: fetch them again",
            )

    def _check_readable(self) -> None:
        """Flaws that headers and transcripts show, known before hours of work."""
        flawed = [kept for part in self._kept.values() for kept in part if kept.utterance.flaw]
        if len(flawed) > self.max_corrupt:
            more = f" (and {len(flawed) - 1} more)" if len(flawed) > 1 else ""
            raise DataError(
                f"{flawed[0].name} cannot be read: {flawed[0].utterance.flaw}{more}",
                expected=f"at most {self.max_corrupt} unreadable utterances",
                fix="fetch the archive again, or leave utterances out knowingly: --max-corrupt N "
                "permits N of them, and index.json will name them",
            )

    def _check_kept(self, counts: dict[str, Counts]) -> None:
        """Known before hours of work; with unreadable ones, the end of the work decides."""
        for split, count in counts.items():
            if not count.unreadable and count.kept != self.rows[split]:
                raise DataError(
                    _report(split, count),
                    expected=f"{self.rows[split]} kept",
                    fix="the archives are of another release",
                )


def _report(split: str, count: Counts) -> str:
    reasons = [
        f"{number} {name.replace('_', ' ')}" for name, number in asdict(count).items() if number
    ]
    return f"{split}: {', '.join(reasons)}"
