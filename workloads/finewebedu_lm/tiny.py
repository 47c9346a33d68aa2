"""Raw files in FineWeb-Edu's real form, written by us: short stories by a small grammar, and a BPE
trained on them.

What comes next follows from far away, so counting neighbours is not enough: a story keeps its hero
and town from the first sentence on, verbs agree with a subject that stands before another noun,
lists are said twice in the same order, brackets close as they were opened.
"""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from algoperf_pt.optional import need
from workloads.finewebedu_lm.tokens import END, byte_characters

VOCABULARY = 384  # ids: 256 bytes, 127 merges, the end of text
_FILES, _STORIES = 3, 2300  # parquet files, stories in each
_ROWS = 500  # of a row group

_HEROES = "Ada Bruno Chloé Emil Greta Lars"
_TOWNS = "Bergen Kraków Leeds Porto"
_COLOURS = "blue gold green red white"
_NOUNS = "bird cat dog goat hen horse owl pig"
_PLACES = "barn gate house tree"
_VERBS = "eat hide sing sleep"
_BRACKETS = {"(": ")", "[": "]", "{": "}"}


def write_raw(folder: Path, seed: int = 0) -> None:
    """Write the parquet files and the tokenizer's into `folder`; the same stories for a seed."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    texts = [story(rng) for _ in range(_FILES * _STORIES)]
    texts[7] = ""  # the real data may hold an empty one
    for number in range(_FILES):
        part = texts[number * _STORIES : (number + 1) * _STORIES]
        write_parquet(folder / f"{number:03d}_00000.parquet", part)
    write_tokenizer(folder, texts, VOCABULARY)


def write_parquet(path: Path, texts: list[str]) -> None:
    """A file with the columns of the real ones, zstd."""
    pyarrow, parquet = need("pyarrow", "finewebedu_lm"), need("pyarrow.parquet", "finewebedu_lm")
    count = len(texts)
    columns = {
        "text": pyarrow.array(texts, pyarrow.string()),
        "id": [f"<urn:uuid:{path.stem}-{number}>" for number in range(count)],
        "dump": ["CC-MAIN-TINY"] * count,
        "url": [f"https://example.org/{number}" for number in range(count)],
        "file_path": ["tiny.warc.gz"] * count,
        "language": ["en"] * count,
        "language_score": [1.0] * count,
        "token_count": pyarrow.array([len(text) // 4 for text in texts], pyarrow.int64()),
        "score": [3.0] * count,
        "int_score": pyarrow.array([3] * count, pyarrow.int64()),
    }
    table = pyarrow.table(columns)
    parquet.write_table(table, path, compression="zstd", row_group_size=_ROWS)


# ---- the grammar


def story(rng: np.random.Generator) -> str:
    """A few sentences about one hero in one town."""
    hero, town = _one(_HEROES, rng), _one(_TOWNS, rng)
    kinds = (_listed, _listed, _agreeing, _nested)
    sentences = [f"{hero} lives in {town}."]
    for _ in range(rng.integers(3, 7)):
        sentences.append(kinds[rng.integers(len(kinds))](hero, town, rng))
    return " ".join(sentences) + "\n"


def _listed(hero: str, town: str, rng: np.random.Generator) -> str:
    colours = " ".join(rng.choice(_COLOURS.split(), 6))
    return f"{hero} said {colours}; {town} heard {colours}; all wrote {colours}."


def _agreeing(hero: str, town: str, rng: np.random.Generator) -> str:
    many, others = rng.integers(2, size=2)
    subject, place = _one(_NOUNS, rng), _one(_PLACES, rng)
    verb, end = _one(_VERBS, rng), f"and {hero} saw {'them' if many else 'it'}."
    front = f"The {subject}{'s' * many} near the {place}{'s' * others} of {town}"
    return f"{front} always {verb}{'s' * (1 - many)} {end}"


def _nested(hero: str, town: str, rng: np.random.Generator) -> str:
    opened = [list(_BRACKETS)[n] for n in rng.integers(len(_BRACKETS), size=rng.integers(2, 6))]
    closed = [_BRACKETS[bracket] for bracket in reversed(opened)]
    return f"{hero} drew {' '.join(opened)} {_one(_NOUNS, rng)} {' '.join(closed)} in {town}."


def _one(words: str, rng: np.random.Generator) -> str:
    choices = words.split()
    return choices[rng.integers(len(choices))]


# ---- the tokenizer


def write_tokenizer(folder: Path, texts: list[str], vocabulary: int) -> None:
    """merges.txt and vocab.json in GPT-2's form: the most frequent pair is merged, again and
    again.
    """
    characters = byte_characters()
    words = Counter(piece for text in texts for piece in _pieces(text))
    spelled = {word: [characters[byte] for byte in word.encode()] for word in words}
    merges = list(_merges(spelled, words, vocabulary - len(characters) - 1))
    tokens = [*characters.values(), *("".join(pair) for pair in merges), END]
    lines = ["#version: 0.2", *(" ".join(pair) for pair in merges)]
    (folder / "merges.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    ids = {token: number for number, token in enumerate(tokens)}
    (folder / "vocab.json").write_text(json.dumps(ids), encoding="utf-8")


def _merges(
    spelled: dict[str, list[str]], counts: Counter[str], number: int
) -> Iterator[tuple[str, str]]:
    for _ in range(number):
        pairs: Counter[tuple[str, str]] = Counter()
        for word, parts in spelled.items():
            for pair in zip(parts, parts[1:]):
                pairs[pair] += counts[word]
        best = max(pairs, key=lambda pair: (pairs[pair], pair))
        yield best
        for parts in spelled.values():
            _join(parts, best)


def _join(parts: list[str], pair: tuple[str, str]) -> None:
    """Merge a pair wherever it stands, in place."""
    place = 0
    while place < len(parts) - 1:
        if (parts[place], parts[place + 1]) == pair:
            parts[place : place + 2] = ["".join(pair)]
        place += 1


def _pieces(text: str) -> list[str]:
    """Words with the space before them, enough like the tokenizer's own cut for these texts."""
    return [f" {word}" for word in text.split()]
