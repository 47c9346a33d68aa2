"""Gradient descent whose step is halved until the loss falls enough (Armijo)."""

import torch
from passes import gradient

from algoperf_pt.submission import Submission


class LineSearch(Submission):
    """Starts from twice the last step that was good."""

    def setup(self, workload, hparams):
        self.share, self.tries = hparams.share, hparams.tries
        self.length = 0.1

    def step(self, workload, batch):
        parameters = list(workload.parameters())
        loss = gradient(workload, batch)
        slopes = [p.grad.clone() for p in parameters]
        before = [p.detach().clone() for p in parameters]
        square = sum((slope * slope).sum() for slope in slopes)
        self.length *= 2
        for _ in range(self.tries):
            self.move(parameters, before, slopes)
            if self.value(workload, batch) <= loss - self.share * self.length * square:
                break
            self.length /= 2
        return {"loss": loss.detach(), "length": self.length}

    @torch.no_grad()
    def move(self, parameters, before, slopes):
        for p, start, slope in zip(parameters, before, slopes):
            p.copy_(start - self.length * slope)

    @torch.no_grad()
    def value(self, workload, batch):
        logits = workload.forward(batch, update_batch_norm=False)
        return workload.mean_loss(workload.loss(batch, logits))

    def state_dict(self):
        return {"length": self.length}

    def load_state_dict(self, state_dict):
        self.length = state_dict["length"]
