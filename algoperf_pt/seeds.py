"""Where does every random number come from?  From one seed, split by name and step, never from
global state.

`derive(seed, "data")`, `derive(seed, "step", 17, rank)` are independent 63-bit integers; the same
arguments give the same number on every machine and Python version.
"""

import hashlib

_BITS = 63  # torch and numpy both take non-negative seeds of this size


def derive(seed: int, *path: str | int) -> int:
    """A new seed for the stream named by `path`, a pure function of its arguments (BLAKE2b, 63
    bits).
    """
    text = "/".join([str(seed), *map(str, path)])
    digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") & ((1 << _BITS) - 1)


def trial_seed(seed: int, study: int, trial: int) -> int:
    """The seed of one trial: every (study, trial) trains with its own numbers."""
    return derive(seed, "study", study, "trial", trial)
