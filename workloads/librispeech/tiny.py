"""Raw archives in LibriSpeech's real layout, whistled by us: every letter is a tone, no download.

A voice has its own pitch, pace and loudness, and there is noise.  The words are made up; in each
archive one utterance has too many letters for the limits of the twin, and one is too slow.
"""

import gzip
import io
import tarfile
from pathlib import Path
from typing import Any

import numpy as np

from algoperf_pt.optional import need
from workloads.librispeech.audio import RATE
from workloads.librispeech.prepare import SUBSETS
from workloads.librispeech.vocabulary import EXTRA

_UTTERANCES = {  # of each subset, beside those that are too long
    "train-clean-100": 480,
    "train-clean-360": 320,
    "train-other-500": 224,
    "dev-clean": 48,
    "dev-other": 48,
    "test-clean": 64,
}
_VOICES = 16  # of a subset
_LETTERS = "AEIOUDKLMNST'"
_LOWEST, _HIGHEST = 300.0, 6500.0  # Hz; in between letters are equally far apart in mel
_WORDS = 24  # of the lexicon
_LEXICON_SEED = 20230612  # the lexicon is the same whatever the utterances

Array = np.ndarray[Any, Any]


def write_raw(folder: Path, seed: int = 0) -> None:
    """Write the six archives into `folder`; the same bytes for the same seed."""
    folder.mkdir(parents=True, exist_ok=True)
    rng, words = np.random.default_rng(seed), lexicon()
    speaker = 100
    for subset in (name for part in SUBSETS.values() for name in part):
        files: dict[str, bytes] = {"LibriSpeech/README.TXT": b"Made-up speech.\n"}
        for number in range(_VOICES):
            speaker += 7
            voice, texts = Voice(rng), _texts(_UTTERANCES[subset] // _VOICES, words, rng)
            spoken = [(text, voice.say(text, rng)) for text in texts]
            if number == 0:
                slow = np.tile(voice.say(words[0], rng), 12)
                spoken += [(" ".join(words[:12]), voice.say(words[0], rng)), (words[0], slow)]
            files |= chapter(subset, speaker, int(rng.integers(1000, 9999)), spoken)
        names = [sorted(files)[place] for place in rng.permutation(len(files))]
        write_archive(folder / f"{subset}.tar.gz", {name: files[name] for name in names})


def write_archive(path: Path, files: dict[str, bytes]) -> None:
    """A gzipped tar file with these members, which knows no time of day."""
    with path.open("wb") as file, gzip.GzipFile(
        fileobj=file, mode="wb", mtime=0, filename="", compresslevel=1
    ) as packed, tarfile.open(fileobj=packed, mode="w") as tar:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))


def chapter(
    subset: str, speaker: int, number: int, spoken: list[tuple[str, Array]]
) -> dict[str, bytes]:
    """The files of a chapter, from transcripts and their sounds."""
    folder = f"LibriSpeech/{subset}/{speaker}/{number}"
    keys = [f"{speaker}-{number}-{place:04d}" for place in range(len(spoken))]
    files = {f"{folder}/{key}.flac": flac(sound) for key, (_, sound) in zip(keys, spoken)}
    lines = [f"{key} {text}\n" for key, (text, _) in zip(keys, spoken)]
    return {**files, f"{folder}/{speaker}-{number}.trans.txt": "".join(lines).encode()}


def lexicon() -> list[str]:
    """Words of two to four letters."""
    rng = np.random.default_rng(_LEXICON_SEED)
    found = {"NA", "I'M"}
    while len(found) < _WORDS:
        vowels, others = rng.permutation(list("AEIOU")), rng.permutation(list("DKLMNST"))
        letters = [letter for pair in zip(others[:2], vowels[:2]) for letter in pair]
        found.add("".join(letters[: rng.integers(2, 5)]))
    return sorted(found)


def _texts(count: int, words: list[str], rng: np.random.Generator) -> list[str]:
    return [" ".join(rng.choice(words, rng.integers(2, 5))) for _ in range(count)]


def flac(samples: Array, rate: int = RATE, subtype: str = "PCM_16") -> bytes:
    """A FLAC file of int16 samples [n] or [n, channels]."""
    buffer = io.BytesIO()
    need("soundfile", EXTRA).write(buffer, samples, rate, format="FLAC", subtype=subtype)
    return buffer.getvalue()


class Voice:
    """How somebody speaks.

    Args:
        rng: draws the voice.
    """

    def __init__(self, rng: np.random.Generator) -> None:
        self.pitch = rng.uniform(0.95, 1.05)
        self.letter = rng.uniform(0.07, 0.09)  # seconds
        self.level = np.exp(rng.uniform(np.log(1500), np.log(6000)))
        self.noise = rng.uniform(0.005, 0.02)  # of the level

    def say(self, text: str, rng: np.random.Generator) -> Array:
        """int16 [n] samples of a text."""
        parts = [self._silence(rng), *(self._sound(letter, rng) for letter in text)]
        sound = np.concatenate([*parts, self._silence(rng)])
        sound = sound + self.noise * rng.standard_normal(len(sound))
        samples: Array = np.clip(self.level * sound, -32768, 32767).astype(np.int16)
        return samples

    def _silence(self, rng: np.random.Generator) -> Array:
        return np.zeros(int(RATE * rng.uniform(0.05, 0.15)))

    def _sound(self, letter: str, rng: np.random.Generator) -> Array:
        """A tone with soft edges; a pause for a space."""
        time = np.arange(int(RATE * self.letter * rng.uniform(0.9, 1.1))) / RATE
        if letter == " ":
            return np.zeros(len(time))
        envelope = np.minimum(1, 8 * np.sin(np.pi * np.arange(len(time)) / len(time)))
        wave: Array = envelope * np.sin(2 * np.pi * self.pitch * tone(letter) * time)
        return wave


def tone(letter: str) -> float:
    """Hz of a letter; neighbours in the alphabet are no neighbours here."""
    low, high = (np.log(1 + hertz / 700) for hertz in (_LOWEST, _HIGHEST))
    place = 5 * _LETTERS.index(letter) % len(_LETTERS)
    return float(700 * (np.exp(low + (high - low) * place / (len(_LETTERS) - 1)) - 1))
