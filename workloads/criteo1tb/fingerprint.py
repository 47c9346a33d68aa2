"""In which bucket does a category fall?  FarmHash's Fingerprint64 of many strings at once.

Hashed is a field's text with the decimal number of its column behind it.  In the published files
that is 8 hexadecimal digits and 1 or 2 more, so `of_words` works on whole arrays; `of_string` takes
any text of up to 16 bytes.  All arithmetic is modulo 2^64, little-endian.

Source: FarmHash (https://github.com/google/farmhash), Fingerprint64, strings of up to 16 bytes.
"""

from typing import Any

import numpy as np

LONGEST = 16  # bytes; longer strings have another formula

_K0, _K2 = 0xC3A5C85C97CB3127, 0x9AE16A3B2F90404F
_MASK = (1 << 64) - 1

Words = np.ndarray[Any, np.dtype[np.uint64]]


def of_words(first: Words, last: Words, length: int) -> Words:
    """Fingerprints of strings of one length, 8 to 16 bytes.

    Args:
        first, last: uint64 [n], the first and the last 8 bytes of each (they overlap).
        length: bytes.
    """
    mul = np.uint64(_K2 + 2 * length & _MASK)
    a = first + np.uint64(_K2)
    c = _rotate(last, 37) * mul + a
    d = (_rotate(a, 25) + last) * mul
    u = (c ^ d) * mul
    u ^= u >> np.uint64(47)
    v = (d ^ u) * mul
    v ^= v >> np.uint64(47)
    v *= mul
    return v


def of_string(text: bytes) -> int:
    """Fingerprint of a string of 0 to 16 bytes.

    Raises:
        ValueError: it is longer.
    """
    n = len(text)
    if n > LONGEST:
        raise ValueError(f"{n} bytes, expected at most {LONGEST}")
    if n >= 8:
        first, last = (np.array([_number(part)], np.uint64) for part in (text[:8], text[-8:]))
        return int(of_words(first, last, n)[0])
    if n >= 4:
        return _of_two(n + (_number(text[:4]) << 3), _number(text[-4:]), _K2 + 2 * n)
    if n:
        y, z = text[0] + (text[n >> 1] << 8), n + (text[-1] << 2)
        h = (y * _K2 ^ z * _K0) & _MASK
        return (h ^ h >> 47) * _K2 & _MASK
    return _K2


def _of_two(u: int, v: int, mul: int) -> int:
    a = (u ^ v) * mul & _MASK
    a ^= a >> 47
    b = (v ^ a) * mul & _MASK
    b ^= b >> 47
    return b * mul & _MASK


def _number(part: bytes) -> int:
    return int.from_bytes(part, "little")


def _rotate(x: Words, bits: int) -> Words:
    """To the right."""
    return x >> np.uint64(bits) | x << np.uint64(64 - bits)
