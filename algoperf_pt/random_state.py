"""How are the global generators kept in step?  torch is reseeded at every step; Python's and
numpy's are saved.
"""

import random
from typing import Any

import numpy as np
import torch

from algoperf_pt.seeds import derive


def seed_step(seed: int, step: int, rank: int, cuda: bool) -> None:
    """Seed torch's generators for one step (dropout, stochastic rounding): a function of (seed,
    step, rank).
    """
    value = derive(seed, "step", step, rank)
    torch.default_generator.manual_seed(value)
    if cuda:
        torch.cuda.manual_seed(value)


def seed_all(seed: int, rank: int) -> None:
    """Seed every global generator before the submission is set up."""
    value = derive(seed, "setup", rank)
    torch.manual_seed(value)
    random.seed(value)
    np.random.seed(value % 2**32)


def random_state() -> dict[str, Any]:
    """Python's and numpy's global states as plain values (submissions may use them)."""
    version, words, gauss = random.getstate()
    kind, keys, position, has_gauss, cached = np.random.get_state(legacy=True)
    return {
        "python": [version, list(words), gauss],
        "numpy": [
            str(kind),
            [int(key) for key in keys],
            int(position),
            int(has_gauss),
            float(cached),
        ],
    }


def load_random_state(state: dict[str, Any]) -> None:
    """Put `random_state()` back."""
    version, words, gauss = state["python"]
    random.setstate((version, tuple(words), gauss))
    kind, keys, position, has_gauss, cached = state["numpy"]
    np.random.set_state((kind, np.array(keys, dtype=np.uint32), position, has_gauss, cached))
