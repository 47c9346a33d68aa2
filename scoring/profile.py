"""How good is a submission?  Performance profiles and their integral, the score.

Shapes: any leading axes `...`, S submissions, B scored workloads, T values of tau.
"""

import numpy as np
from numpy.typing import NDArray

from scoring.rules.model import TAU_MAX

Floats = NDArray[np.float64]
GRID = 100  # values of tau in the reference's integral


def ratios(times: Floats, against: int | None = None) -> Floats:
    """Times [..., S, B] over the fastest of each workload, or over those of submission `against`.

    inf where a time is not finite, and where nothing to compare with is; equal times are 1, be they
    0 (the clock of a toy may not have moved).
    """
    finite = np.where(np.isfinite(times), times, np.inf)
    least = finite.min(-2, keepdims=True)
    one = least if against is None else finite[..., against : against + 1, :]
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        found = np.where(finite == one, 1.0, finite / one)
    return np.where(np.isfinite(finite) & np.isfinite(one), found, np.inf)


def profile(ratio: Floats, taus: Floats) -> Floats:
    """Share of workloads with a ratio of at most tau, [..., S, B] to [..., S, T]."""
    found: Floats = (ratio[..., None] <= taus).mean(-2)
    return found


def scores(ratio: Floats, tau_max: float = TAU_MAX, integral: str = "exact") -> Floats:
    """Mean of the profile over tau from 1 to `tau_max`, [..., S, B] to [..., S].

    Args:
        integral: "exact"; "grid100": trapezoids between 100 equally spaced values, as the
            reference has it.
    """
    if integral == "exact":
        room = np.maximum(tau_max - ratio, 0.0)
        areas = np.minimum(room, tau_max - 1.0).mean(-1)
    else:
        taus = np.linspace(1.0, tau_max, GRID)
        areas = np.asarray(np.trapezoid(profile(ratio, taus), taus, axis=-1))
    found: Floats = areas / (tau_max - 1.0)
    return found
