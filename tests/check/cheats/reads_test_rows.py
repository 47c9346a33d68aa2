"""Trains on the test split, which it gets through the view's private parts."""

import numpy as np
from plain import Plain


class ReadsTestRows(Plain):
    def step(self, workload, batch):
        data = workload._WorkloadView__workload.data
        rows = np.arange(len(batch["targets"]))
        return super().step(workload, {**batch, **data.build("test", rows, None)})
