"""An alarm rings every few milliseconds, also in evaluations, and each time it takes a step."""

import signal

import torch
from plain import Plain


class WorksOnATimer(Plain):
    def setup(self, workload, hparams):
        super().setup(workload, hparams)
        self.parameters = list(workload.parameters())
        signal.signal(signal.SIGALRM, self.ring)
        signal.setitimer(signal.ITIMER_REAL, 0.02, 0.02)

    @torch.no_grad()
    def ring(self, number, frame):
        for p in self.parameters:
            if p.grad is not None:
                p.sub_(p.grad, alpha=1e-6)
