"""Raw archives in LibriSpeech's real layout, spoken by us: every letter is a chord, no download.

A voice has its own pitch, pace and loudness, and there is noise.  The words are made up; some
utterances are too long for the limits of the twin, in sound or in text.
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
_VOICES = 4  # of a subset
_LETTERS = "AEIOUDKLMNST'"
_LOW, _HIGH = (350, 600, 950, 1400), (2000, 2700, 3500, 4500)  # Hz: a letter has one of each
_WORDS = 36  # of the lexicon
_LEXICON_SEED = 20230612  # the lexicon is the same whatever the utterances

Array = np.ndarray[Any, Any]


def write_raw(folder: Path, seed: int = 0) -> None:
    """Write the six archives into `folder`; the same bytes for the same seed."""
    folder.mkdir(parents=True, exist_ok=True)
    rng, words = np.random.default_rng(seed), lexicon()
    speaker = 100
    for subset in (name for part in SUBSETS.values() for name in part):
        files: dict[str, bytes] = {"LibriSpeech/README.TXT": b"Made-up speech.\n"}
        for _ in range(_VOICES):
            speaker += 7
            count = _UTTERANCES[subset] // _VOICES
            files |= chapter(subset, speaker, count, words, rng)
        names = [sorted(files)[number] for number in rng.permutation(len(files))]
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
    subset: str, speaker: int, count: int, words: list[str], rng: np.random.Generator
) -> dict[str, bytes]:
    """The files of what a voice reads: `count` utterances, one of too many letters, and one that is
    too slow.
    """
    voice, number = Voice(rng), int(rng.integers(1000, 9999))
    folder = f"LibriSpeech/{subset}/{speaker}/{number}"
    texts = [" ".join(rng.choice(words, rng.integers(2, 6))) for _ in range(count)]
    spoken = [voice.say(text, rng) for text in texts]
    texts += [" ".join(rng.choice(words, 12)), words[0]]
    spoken += [voice.say(words[1], rng), np.tile(voice.say(words[0], rng), 12)]
    keys = [f"{speaker}-{number}-{place:04d}" for place in range(len(texts))]
    files = {f"{folder}/{key}.flac": flac(sound) for key, sound in zip(keys, spoken)}
    lines = [f"{key} {text}\n" for key, text in zip(keys, texts)]
    return {**files, f"{folder}/{speaker}-{number}.trans.txt": "".join(lines).encode()}


def lexicon() -> list[str]:
    """Words of two to five letters."""
    rng = np.random.default_rng(_LEXICON_SEED)
    found: set[str] = {"NA", "I'M"}
    while len(found) < _WORDS:
        vowels, others = rng.permutation(list("AEIOU")), rng.permutation(list("DKLMNST"))
        letters = [x for pair in zip(others[:3], vowels[:3]) for x in pair]
        found.add("".join(letters[: rng.integers(2, 6)]))
    return sorted(found)


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
        """A chord with soft edges; a pause for a space."""
        time = np.arange(int(RATE * self.letter * rng.uniform(0.9, 1.1))) / RATE
        if letter == " ":
            return np.zeros(len(time))
        low, high = (self.pitch * tone for tone in tones(letter))
        envelope = np.minimum(1, 8 * np.sin(np.pi * np.arange(len(time)) / len(time)))
        wave: Array = envelope * (np.sin(2 * np.pi * low * time) + np.sin(2 * np.pi * high * time))
        return wave


def tones(letter: str) -> tuple[int, int]:
    """Hz of a letter's two tones."""
    number = _LETTERS.index(letter)
    return _LOW[number % len(_LOW)], _HIGH[(number // len(_LOW) + number) % len(_HIGH)]
