"""How is a training batch augmented?  By random numbers that follow from seed and step alone: a row
of the global batch gets the same ones on any number of ranks.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Augment:
    """The randomness of one step, and which part of it belongs to this rank.

    Args:
        seed: of the step, the same on all ranks.
        rank, world: this rank and the number of ranks.
    """

    seed: int
    rank: int = 0
    world: int = 1

    def generator(self) -> np.random.Generator:
        """A fresh generator, the same on all ranks: draw for the whole global batch."""
        return np.random.default_rng(self.seed)

    def total(self, count: int) -> int:
        """Rows of the global batch of which this rank has `count`."""
        return count * self.world

    def own(self, drawn: Any) -> Any:
        """This rank's part of numbers drawn for the global batch (along the first axis)."""
        return drawn[self.rank :: self.world]
