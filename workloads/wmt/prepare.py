"""wmt from the archives of statmt.org: a vocabulary trained on a sample, and all pairs as ids.

Stored: blocks of 4,096 pairs with the parts `length` (4 uint16 a row: ids of the source and of the
target, end included, and how many of them are not 0) and `token` (uint16 ids, source then target,
row behind row).  Pairs are stored in the order of the corpora, none is left out for its length.
"""

from collections.abc import Iterator, Sequence
from itertools import chain, islice
from pathlib import Path

import numpy as np

from algoperf_pt.data.preparer import Preparer, RawFile
from algoperf_pt.data.shards import Sample
from algoperf_pt.errors import DataError
from workloads.wmt.corpora import ALL, TEST, TRAIN, VALIDATION, Corpus, pairs, unpack
from workloads.wmt.data import VOCABULARY
from workloads.wmt.sample import sample
from workloads.wmt.vocabulary import Vocabulary, train

GIVEN_VOCABULARY = "wmt_sentencepiece_model"  # in the raw folder: taken instead of training one
_CORPORA: dict[str, tuple[Corpus, ...]] = {
    "train": TRAIN,
    "validation": (VALIDATION,),
    "test": (TEST,),
}
_BLOCK = 4096  # pairs a member
_LONGEST = 2**16 - 1  # ids of a side that are kept: far beyond what any batch takes
_PAIR_BYTES = 140  # of ids and lengths: about 30 ids of 2 bytes a side, and tar headers
_TEXT_BYTES = 330  # of unpacked text a pair, while preparing

_URLS = {
    "training-parallel-europarl-v7.tgz": "https://www.statmt.org/wmt13/",
    "training-parallel-commoncrawl.tgz": "https://www.statmt.org/wmt13/",
    "training-parallel-nc-v12.tgz": "https://data.statmt.org/wmt17/translation-task/",
    "rapid2016.tgz": "https://data.statmt.org/wmt18/translation-task/",
    "dev.tgz": "https://data.statmt.org/wmt19/translation-task/",
}


class WmtPreparer(Preparer):
    """Train: Europarl v7, Common Crawl, News Commentary v12, Rapid 2016; validation: newstest2013;
    test: newstest2014.

    Args:
        name: of the dataset.
        vocab_size: pieces of the vocabulary.
        sample_bytes: text that it is trained on.
        rows: pairs that each split must have.
    """

    samples_per_shard = 256  # blocks: a shard of about 120 MB
    raw_files = tuple(RawFile(name, url + name) for name, url in _URLS.items())
    assets = (VOCABULARY,)

    def __init__(
        self, vocab_size: int, sample_bytes: int, rows: dict[str, int], name: str = "wmt"
    ) -> None:
        self.name, self.vocab_size, self.sample_bytes = name, vocab_size, sample_bytes
        self.rows = rows

    def expected_rows(self, split: str) -> int:
        return self.rows[split]

    def members(self, split: str) -> int | None:
        return None if split == "train" else -(-self.rows[split] // _BLOCK)

    def estimate_bytes(self, raw: Path) -> int:
        return sum(self.rows.values()) * (_PAIR_BYTES + _TEXT_BYTES)

    def begin(self, raw: Path, out: Path, scratch: Path) -> None:
        """Unpack the corpora, then train the vocabulary or take over a given one."""
        self._text = scratch
        for file, path in zip(self.raw_files, self.check_raw(raw)):
            unpack(path, [corpus for corpus in ALL if corpus.archive == file.name], scratch)
        if not (out / VOCABULARY).exists():
            self._make_vocabulary(raw, out, scratch)
        self._vocabulary = Vocabulary(out / VOCABULARY)
        if len(self._vocabulary) != self.vocab_size:
            (out / VOCABULARY).unlink()
            raise DataError(
                f"the vocabulary {raw / GIVEN_VOCABULARY} has {len(self._vocabulary)} pieces",
                expected=f"{self.vocab_size}",
                fix="give the model of this workload, or none: one is trained then",
            )

    def units(self, split: str, raw: Path) -> Sequence[str]:
        return [corpus.name for corpus in _CORPORA[split]]

    def unit_samples(self, split: str, raw: Path, unit: str) -> Iterator[Sample]:
        (corpus,) = (corpus for corpus in ALL if corpus.name == unit)
        rows, number = pairs(corpus, self._text), 0
        while block := list(islice(rows, _BLOCK)):
            yield self._member(f"{unit}_{number:06d}", block)
            number += 1

    def _member(self, key: str, block: Sequence[tuple[int, bytes, bytes]]) -> Sample:
        sides = [self._vocabulary.encode([row[side].decode() for row in block]) for side in (1, 2)]
        ids = [np.array(side[:_LONGEST], np.uint16) for pair in zip(*sides) for side in pair]
        counts = [[len(x), len(y)] for x, y in zip(ids[::2], ids[1::2])]
        real = [[np.count_nonzero(x), np.count_nonzero(y)] for x, y in zip(ids[::2], ids[1::2])]
        length = np.concatenate([counts, real], 1).astype(np.uint16)
        parts = {"length": length.tobytes(), "token": np.concatenate(ids).tobytes()}
        return Sample(key, parts, len(block), ragged=("token",))

    def _make_vocabulary(self, raw: Path, out: Path, scratch: Path) -> None:
        given = raw / GIVEN_VOCABULARY
        if given.is_file():
            partial = out / f".{VOCABULARY}.partial"
            partial.write_bytes(given.read_bytes())
            partial.replace(out / VOCABULARY)
            return
        text = scratch / "sample.txt"
        self._write_sample(text)
        train(text, out / VOCABULARY, self.vocab_size)

    def _write_sample(self, path: Path) -> None:
        """The German and the English line of every pair of the sample."""
        keys: list[str] = []
        sizes: list[int] = []
        for corpus in TRAIN:
            for number, german, english in pairs(corpus, self._text):
                keys.append(f"{corpus.name}/0/{number}")
                sizes.append(len(german) + len(english) + 2)
        chosen = sample(keys, np.array(sizes), self.sample_bytes)
        place = {int(number): at for at, number in enumerate(chosen)}
        texts: list[bytes] = [b""] * len(chosen)
        every = chain(*(pairs(corpus, self._text) for corpus in TRAIN))
        for number, (_, german, english) in enumerate(every):
            if number in place:
                texts[place[number]] = german + b"\n" + english + b"\n"
        partial = path.with_name(f".{path.name}.partial")
        partial.write_bytes(b"".join(texts))
        partial.replace(path)
