"""Is this the sound of an utterance?  FLAC, one channel, 16 bit, 16 kHz, decoded to its last
sample.

The header's layout: https://xiph.org/flac/format.html, STREAMINFO.
"""

import hashlib
import io
from dataclasses import dataclass
from typing import Any

import numpy as np

from algoperf_pt.optional import need
from workloads.librispeech.vocabulary import EXTRA

RATE, BITS = 16_000, 16  # samples a second, bits of a sample
HEADER = 42  # bytes of the file that say what follows

Samples = np.ndarray[Any, np.dtype[np.int16]]


class AudioError(Exception):
    """What is wrong with a file, in a few words."""


@dataclass(frozen=True)
class Header:
    """What the beginning of a file says: samples a second, channels, bits, samples, and the MD5 of
    the samples (zeros: not said).
    """

    rate: int
    channels: int
    bits: int
    samples: int
    md5: bytes

    @staticmethod
    def of(data: bytes) -> "Header":
        """From the first HEADER bytes of a file.

        Raises:
            AudioError: it is no FLAC file.
        """
        if len(data) < HEADER or data[:4] != b"fLaC" or data[4] & 0x7F != 0:
            raise AudioError("it is no FLAC file")
        packed = int.from_bytes(data[18:26], "big")  # 20 + 3 + 5 + 36 bits
        channels, bits = (packed >> 41 & 0x7) + 1, (packed >> 36 & 0x1F) + 1
        return Header(packed >> 44, channels, bits, packed & (1 << 36) - 1, data[26:42])

    def check(self) -> None:
        """Raises:
        AudioError: another kind of sound than LibriSpeech's.
        """
        if self.rate != RATE:
            raise AudioError(f"it has {self.rate:,} samples a second, not {RATE:,}")
        if self.channels != 1:
            raise AudioError(f"it has {self.channels} channels, not 1")
        if self.bits != BITS:
            raise AudioError(f"its samples have {self.bits} bits, not {BITS}")
        if not self.samples:
            raise AudioError("it says that it holds no samples")


def decode(data: bytes) -> Samples:
    """All samples of a FLAC file, compared with what its header says of them.

    Raises:
        AudioError: it is cut short or corrupt.
    """
    header = Header.of(data)
    header.check()
    samples = np.empty(header.samples, np.int16)
    count = decode_into(data, samples)
    if count != header.samples:
        raise AudioError(f"it ends after {count:,} of {header.samples:,} samples")
    if any(header.md5) and hashlib.md5(samples.data, usedforsecurity=False).digest() != header.md5:
        raise AudioError("its samples are not those that its checksum was made of")
    return samples


def decode_into(data: bytes, out: Samples) -> int:
    """Decode a FLAC file to the beginning of `out`; how many samples there were.

    Raises:
        AudioError: it is corrupt.
    """
    soundfile = need("soundfile", EXTRA)
    try:
        with soundfile.SoundFile(io.BytesIO(data)) as file:
            return len(file.read(out=out, dtype="int16"))
    except soundfile.LibsndfileError as error:
        raise AudioError(f"it cannot be decoded: {error.error_string}") from error
