"""Two passes a step: the gradient is taken where the loss is highest nearby (arXiv 2010.01412)."""

import torch
from passes import gradient

from algoperf_pt.submission import Submission


class Sam(Submission):
    """Around SGD with momentum."""

    def setup(self, workload, hparams):
        self.optimizer = torch.optim.SGD(workload.parameters(), lr=hparams.lr, momentum=0.9)
        self.rho = hparams.rho

    def step(self, workload, batch):
        parameters = list(workload.parameters())
        loss = gradient(workload, batch)
        norm = torch.linalg.vector_norm(torch.stack([p.grad.norm() for p in parameters]))
        climbs = [p.grad * (self.rho / norm) for p in parameters]
        with torch.no_grad():
            torch._foreach_add_(parameters, climbs)
        gradient(workload, batch, update_batch_norm=False)
        with torch.no_grad():
            torch._foreach_sub_(parameters, climbs)
        self.optimizer.step()
        return {"loss": loss.detach()}

    def state_dict(self):
        return {"optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state_dict):
        self.optimizer.load_state_dict(state_dict["optimizer"])
