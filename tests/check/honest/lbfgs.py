"""A quasi-Newton method that asks for the loss as often as it likes."""

import torch
from passes import gradient

from algoperf_pt.submission import Submission


class Lbfgs(Submission):
    """torch's LBFGS with its strong Wolfe line search."""

    def setup(self, workload, hparams):
        self.optimizer = torch.optim.LBFGS(
            workload.parameters(), lr=0.1, max_iter=3, history_size=5, line_search_fn="strong_wolfe"
        )

    def step(self, workload, batch):
        losses = []

        def closure():
            losses.append(gradient(workload, batch, update_batch_norm=not losses))
            return losses[-1]

        self.optimizer.step(closure)
        return {"loss": losses[0].detach()}

    def state_dict(self):
        return {"optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state_dict):
        self.optimizer.load_state_dict(state_dict["optimizer"])
