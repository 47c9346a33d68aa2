"""How long did a workload take?  The median over a submission's studies.

Shapes: any leading axes `...`, W workloads, K studies.  Seconds (or steps): inf where the target
was not reached, nan where there is no such study.
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def workload_times(studies: Floats) -> Floats:
    """Medians over the studies that there are, [..., W, K] to [..., W].

    Of an even number, the mean of the two in the middle; inf if one of these is.  nan where a
    workload has no study at all.
    """
    ordered = np.sort(studies, axis=-1)  # nan comes last
    count = (~np.isnan(studies)).sum(-1)
    lower, upper = np.maximum(count - 1, 0) // 2, np.minimum(count // 2, studies.shape[-1] - 1)
    middle = np.stack([lower, upper], -1)
    low, high = np.moveaxis(np.take_along_axis(ordered, middle, -1), -1, 0)
    found: Floats = np.where(low == high, low, (low + high) / 2)
    return found
