"""Each batch is used several times, the later ones with noise (data echoing, arXiv 1907.05550)."""

import torch
from passes import gradient

from algoperf_pt.submission import Submission


class Echo(Submission):
    """Nesterov's momentum on echoed batches."""

    times = 3

    def setup(self, workload, hparams):
        self.optimizer = torch.optim.SGD(
            workload.parameters(), lr=0.05, momentum=0.9, nesterov=True
        )
        self.count, self.workload = 0, workload

    def select(self, batches):
        batch = None
        while True:
            if batch is None or self.count % self.times == 0:
                batch = next(batches)
            self.count += 1
            yield self.noisy(batch)

    def noisy(self, batch):
        inputs = batch["inputs"]
        if not torch.is_floating_point(inputs):
            return batch
        noise = torch.empty(inputs.shape)
        noise.normal_(0.0, 0.01, generator=self.workload.generator("echo"))
        return {**batch, "inputs": inputs + noise.to(inputs.device)}

    def step(self, workload, batch):
        loss = gradient(workload, batch)
        self.optimizer.step()
        return {"loss": loss.detach()}

    def state_dict(self):
        return {"optimizer": self.optimizer.state_dict(), "count": self.count}

    def load_state_dict(self, state_dict):
        self.optimizer.load_state_dict(state_dict["optimizer"])
        self.count = state_dict["count"]
