"""Raw days in the real format of the click logs, drawn by us: what decides about a click must be
learned, no download.

The chance of a click follows from two integers, from the values of three categories, and from a
pair of two others.  Each of that pair says nothing alone, so a predictor without products of
features falls short.  Everything else is noise; empty fields, -1 and -2 occur as in the real files.
"""

import gzip
from pathlib import Path
from typing import Any

import numpy as np

from workloads.criteo1tb.parse import CATEGORIES, INTEGERS
from workloads.criteo1tb.prepare import DAYS

ROWS, LAST_ROWS = 3000, 8000  # of a day; of the last one, for validation and test
_VALUES = 12  # of each category
_EMPTY = 0.15  # share of empty integers; of -1 and of -2 a third each
_NUMBERS = (2, 5)  # integers that matter
_ALONE = (1, 6, 20)  # categories that matter by themselves
_PAIR = (4, 13)  # categories that matter together

Array = np.ndarray[Any, Any]


class World:
    """What the days have in common.

    Args:
        seed: of the names of the categories' values and of their effects.
    """

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        names = rng.integers(0, 1 << 32, (CATEGORIES, _VALUES))
        self.names = np.array([[f"{name:08x}" for name in values] for values in names])
        self.names[:, 0] = ""  # one value is that nothing is known
        self.alone = rng.normal(0.0, 0.6, (len(_ALONE), _VALUES))
        self.pair = rng.choice([-1.6, 1.6], (_VALUES, _VALUES))
        self.pair -= self.pair.mean(0) + self.pair.mean(1, keepdims=True) - self.pair.mean()

    def log_odds(self, integers: Array, values: Array) -> Array:
        """float64 [n] of a click.

        Args:
            integers: [n, 13], negative where none.
            values: [n, 26] number of each category's value.
        """
        low, high = (np.log1p(integers[:, column].clip(0)) for column in _NUMBERS)
        alone = sum(effect[values[:, c]] for c, effect in zip(_ALONE, self.alone))
        together = self.pair[values[:, _PAIR[0]], values[:, _PAIR[1]]]
        found: Array = -1.2 + 0.5 * (low - 2.0) - 0.3 * (high - 2.0) + alone + together
        return found

    def day(self, rows: int, rng: np.random.Generator) -> str:
        """The text of a day."""
        integers = np.floor(rng.lognormal(2.0, 1.5, (rows, INTEGERS))).astype(np.int64)
        special = rng.random(integers.shape)
        for low, value in ((0.0, -3), (1.0, -1), (2.0, -2)):  # -3 will be written as nothing
            share = (low * _EMPTY / 3, (low + 1) * _EMPTY / 3)
            integers[(special >= share[0]) & (special < share[1])] = value
        values = rng.integers(0, _VALUES, (rows, CATEGORIES))
        odds = self.log_odds(integers, values)
        clicks = rng.random(rows) < 1 / (1 + np.exp(-odds))
        numbers = np.where(integers == -3, "", integers.astype(str))
        names = self.names[np.arange(CATEGORIES), values]
        fields = np.concatenate([clicks[:, None].astype(int).astype(str), numbers, names], axis=1)
        return "".join("\t".join(line) + "\n" for line in fields.tolist())


def write_raw(folder: Path, seed: int = 0) -> None:
    """Write day_0.gz to day_23.gz into `folder`; the same bytes for the same seed."""
    folder.mkdir(parents=True, exist_ok=True)
    world = World(seed)
    for day in range(DAYS):
        rng = np.random.default_rng([seed, day])
        text = world.day(ROWS if day < DAYS - 1 else LAST_ROWS, rng)
        (folder / f"day_{day}.gz").write_bytes(gzip.compress(text.encode(), mtime=0))
