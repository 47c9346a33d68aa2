"""An average of the weights is judged; training goes on from the weights themselves."""

import torch
from passes import gradient

from algoperf_pt.submission import Submission


class Ema(Submission):
    """Adam with an exponential moving average."""

    def setup(self, workload, hparams):
        self.optimizer = torch.optim.Adam(workload.parameters(), lr=1e-3)
        self.mean = [p.detach().clone() for p in workload.parameters()]

    def step(self, workload, batch):
        loss = gradient(workload, batch)
        self.optimizer.step()
        torch._foreach_lerp_(self.mean, [p.detach() for p in workload.parameters()], 0.1)
        return {"loss": loss.detach()}

    @torch.no_grad()
    def prepare_for_eval(self, workload):
        self.kept = [p.detach().clone() for p in workload.parameters()]
        torch._foreach_copy_(list(workload.parameters()), self.mean)

    @torch.no_grad()
    def resume_training(self, workload):
        torch._foreach_copy_(list(workload.parameters()), self.kept)

    def state_dict(self):
        return {"optimizer": self.optimizer.state_dict(), "mean": self.mean}

    def load_state_dict(self, state_dict):
        self.optimizer.load_state_dict(state_dict["optimizer"])
        self.mean = state_dict["mean"]
