"""A small dataset of our own, for tests of preparing and reading."""

import numpy as np

from algoperf_pt.data.preparer import Preparer, RawFile
from algoperf_pt.data.shards import Sample


class Toy(Preparer):
    """40 texts of different lengths, and rows in blocks of 5."""

    name = "toy"
    splits = ("train", "test")
    samples_per_shard = 3
    raw_files = (RawFile("raw.txt"),)
    stop_after = None

    def estimate_bytes(self, raw):
        return 1000

    def expected_rows(self, split):
        return 40

    def samples(self, split, raw):
        for number in range(8):
            if self.stop_after == (split, number):
                raise KeyboardInterrupt
            rows = np.arange(number * 5, number * 5 + 5, dtype=np.int32)
            wide = np.stack([rows, -rows], 1)
            yield Sample(f"{number:04d}", {"row": wide.tobytes(), "id": rows.tobytes()}, 5)


def contents(folder):
    """File name -> bytes."""
    return {p.name: p.read_bytes() for p in sorted(folder.iterdir())}
