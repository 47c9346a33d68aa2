"""Raw archives in the real layout, in two made-up languages: translations that must be learned, no
download.

A source sentence ends in its verb and its articles follow the gender of the noun; its translation
has the verb in the second place, one article, and another word for everything.  Some nouns are
translated by the word that their adjective asks for.  So neither the source nor the most frequent
words score, and translating word by word falls short.
"""

import gzip
import io
import tarfile
from pathlib import Path

import numpy as np

from workloads.wmt.corpora import ALL, TEST, TRAIN, Corpus

_PAIRS = {"europarl_v7": 2400, "commoncrawl": 600, "newscommentary_v12": 600, "rapid_2016": 400}
_EVALUATED = 64  # pairs of the validation and of the test corpus
_ONSETS = {
    "source": "b d f g k l m n r s t w z sch pf kl br gr st".split(),
    "target": "b d f g h j l m n p r s t v w th sh tr pl".split(),
}
_MIDDLES = {"source": "a e i o u au ei ü ö".split(), "target": "a e i o u ea oo ai ou".split()}
_ENDS = {"source": "n r t nd ch rt l ft".split(), "target": "n r t ck ll y m st".split()}
_COUNTS = {"noun": 12, "adjective": 6, "verb": 8, "adverb": 4}
_ARTICLES = (("der", "den"), ("die", "die"), ("das", "das"))  # by gender: subject, object

Word = tuple[str, str]


def write_raw(folder: Path, seed: int = 0) -> None:
    """Write the five archives into `folder`; the same bytes for the same seed."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    language = Language(np.random.default_rng(20230612))  # the same whatever the sentences
    texts = {corpus.name: _text(corpus, language, rng) for corpus in ALL}
    for archive in dict.fromkeys(corpus.archive for corpus in ALL):
        files = {
            name: data
            for corpus in ALL
            if corpus.archive == archive
            for name, data in zip((corpus.source, corpus.target), texts[corpus.name])
        }
        write_archive(folder / archive, files)


def write_archive(path: Path, files: dict[str, bytes]) -> None:
    """A gzipped tar file with these members."""
    with path.open("wb") as file, gzip.GzipFile(
        fileobj=file, mode="wb", mtime=0, filename=""
    ) as packed, tarfile.open(fileobj=packed, mode="w") as tar:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))


class Language:
    """A lexicon of made-up words and the grammar of both languages.

    Args:
        rng: draws the lexicon.
    """

    def __init__(self, rng: np.random.Generator) -> None:
        used: set[str] = {"der", "den", "die", "das", "nicht", "und", "the", "not", "and"}
        self.words: dict[str, list[Word]] = {
            kind: [(_word("source", rng, used), _word("target", rng, used)) for _ in range(count)]
            for kind, count in _COUNTS.items()
        }
        self.gender = rng.integers(0, len(_ARTICLES), _COUNTS["noun"])
        self.other = [_word("target", rng, used) for _ in range(_COUNTS["noun"])]

    def sentence(self, rng: np.random.Generator) -> Word:
        """A sentence and its translation: one clause, or two."""
        german, english = self._clause(rng)
        if rng.random() < 0.2:
            second = self._clause(rng)
            german, english = f"{german} und {second[0]}", f"{english} and {second[1]}"
        mark = "." if rng.random() < 0.8 else "!"
        return german[0].upper() + german[1:] + mark, english[0].upper() + english[1:] + mark

    def _clause(self, rng: np.random.Generator) -> Word:
        subject, thing = (self._phrase(case, rng) for case in (0, 1))
        verb, adverb = self._draw("verb", rng), self._draw("adverb", rng)
        no = rng.random() < 0.2
        early = rng.random() < 0.5
        german = [adverb[0]] * early + [subject[0], thing[0]] + ["nicht"] * no + [verb[0]]
        english = [subject[1]] + ["not"] * no + [verb[1], thing[1]] + [adverb[1]] * early
        return " ".join(german), " ".join(english)

    def _phrase(self, case: int, rng: np.random.Generator) -> Word:
        """Article, perhaps an adjective, noun; some adjectives ask for the noun's other word."""
        number = int(rng.integers(_COUNTS["noun"]))
        noun, translation = self.words["noun"][number]
        article = _ARTICLES[self.gender[number]][case]
        if rng.random() < 0.5:
            return f"{article} {noun}", f"the {translation}"
        kind = int(rng.integers(_COUNTS["adjective"]))
        adjective, english = self.words["adjective"][kind]
        translation = self.other[number] if kind < 3 and number < 6 else translation
        return f"{article} {adjective} {noun}", f"the {english} {translation}"

    def _draw(self, kind: str, rng: np.random.Generator) -> Word:
        return self.words[kind][int(rng.integers(_COUNTS[kind]))]


def _word(side: str, rng: np.random.Generator, used: set[str]) -> str:
    while True:
        parts = [_ONSETS[side], _MIDDLES[side], _ENDS[side]]
        if rng.random() < 0.4:
            parts = [*parts[:2], *parts]
        word = "".join(str(rng.choice(part)) for part in parts)
        if word not in used:
            used.add(word)
            return word


def _text(corpus: Corpus, language: Language, rng: np.random.Generator) -> tuple[bytes, bytes]:
    """Both files of a corpus; the training corpora hold a few pairs with an empty side."""
    count = _PAIRS.get(corpus.name, _EVALUATED)
    found = [language.sentence(rng) for _ in range(count)]
    if corpus in TRAIN:
        found[count // 2 : count // 2] = [("", "Sad."), ("Weg.", ""), ("", "")]
    sides = (list(side) for side in zip(*found))
    german, english = (
        _sgml(side) if corpus is TEST else "\n".join(side) + "\n" for side in sides
    )
    return german.encode(), english.encode()


def _sgml(sentences: list[str]) -> str:
    rows = [f'<seg id="{number}">{text}</seg>' for number, text in enumerate(sentences, 1)]
    head = '<srcset setid="newstest2014" srclang="any">\n<doc docid="tiny">\n<p>'
    return "\n".join([head, *rows, "</p>\n</doc>\n</srcset>\n"])
