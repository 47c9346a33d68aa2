"""The honest part of every cheat in this folder."""

import torch

from algoperf_pt.submission import Submission


class Plain(Submission):
    """SGD."""

    rate = 0.1

    def setup(self, workload, hparams):
        self.optimizer = torch.optim.SGD(workload.parameters(), lr=self.rate)

    def step(self, workload, batch):
        self.optimizer.zero_grad()
        loss = workload.mean_loss(workload.loss(batch, workload.forward(batch)))
        workload.backward(loss)
        self.optimizer.step()
        return {"loss": loss.detach()}

    def state_dict(self):
        return {"optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state_dict):
        self.optimizer.load_state_dict(state_dict["optimizer"])
