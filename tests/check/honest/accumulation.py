"""One update for several batches, whose gradients are added up."""

import torch

from algoperf_pt.submission import Submission


class Accumulation(Submission):
    """Small batches, as many of them as a learning rate schedule wants."""

    parts = 2

    def batch_size(self, spec):
        return {"wmt": 64, "imagenet_resnet": 512}.get(spec.name, spec.baseline_batch_size)

    def setup(self, workload, hparams):
        self.optimizer = torch.optim.AdamW(workload.parameters(), lr=1e-3)
        self.optimizer.zero_grad()

    def step(self, workload, batch):
        last = (workload.step + 1) % self.parts == 0
        if last:
            loss = self.add(workload, batch)
            self.optimizer.step()
            self.optimizer.zero_grad()
        else:
            with workload.no_sync():
                loss = self.add(workload, batch)
        return {"loss": loss.detach()}

    def add(self, workload, batch):
        loss = workload.mean_loss(workload.loss(batch, workload.forward(batch)))
        workload.backward(loss / self.parts)
        return loss

    def state_dict(self):
        return {"optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state_dict):
        self.optimizer.load_state_dict(state_dict["optimizer"])
