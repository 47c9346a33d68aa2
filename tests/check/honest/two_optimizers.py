"""Matrices and the rest have an optimizer each; tensors of one shape are updated together."""

import torch
from passes import gradient

from algoperf_pt.submission import Submission


class TwoOptimizers(Submission):
    """RMSprop for all with two dimensions or more, Adagrad for biases and norms."""

    def setup(self, workload, hparams):
        wide = [p for p in workload.parameters() if p.dim() > 1]
        rest = [p for p in workload.parameters() if p.dim() <= 1]
        self.optimizers = [torch.optim.RMSprop(wide, lr=1e-3)]
        if rest:
            self.optimizers.append(torch.optim.Adagrad(rest, lr=1e-2))
        self.groups = {}
        for p in wide:
            self.groups.setdefault(p.shape, []).append(p)

    def step(self, workload, batch):
        loss = gradient(workload, batch)
        for together in self.groups.values():
            mean = torch.stack([p.grad.abs().mean() for p in together]).mean()
            for p in together:
                p.grad.clamp_(-10 * mean, 10 * mean)
        for optimizer in self.optimizers:
            optimizer.step()
        return {"loss": loss.detach()}

    def state_dict(self):
        return {"optimizers": [optimizer.state_dict() for optimizer in self.optimizers]}

    def load_state_dict(self, state_dict):
        for optimizer, state in zip(self.optimizers, state_dict["optimizers"], strict=True):
            optimizer.load_state_dict(state)
