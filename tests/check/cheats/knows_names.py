"""Has a learning rate for each workload."""

from plain import Plain

RATES = {"wmt": 0.5, "ogbg": 0.05, "digits": 0.2}


class KnowsNames(Plain):
    def setup(self, workload, hparams):
        self.rate = RATES.get(workload.spec.name, 0.1)
        super().setup(workload, hparams)
