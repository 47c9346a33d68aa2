"""The diagonal of the Hessian from random directions divides the gradient (AdaHessian, Sophia)."""

import torch

from algoperf_pt.submission import Submission


class SecondOrder(Submission):
    """Hutchinson's estimate by a second backward pass every few steps."""

    every = 3

    def setup(self, workload, hparams):
        self.diagonal = [torch.zeros_like(p) for p in workload.parameters()]
        self.momentum = [torch.zeros_like(p) for p in workload.parameters()]

    def step(self, workload, batch):
        parameters = list(workload.parameters())
        logits = workload.forward(batch)
        loss = workload.mean_loss(workload.loss(batch, logits))
        estimates = workload.step % self.every == 0
        slopes = torch.autograd.grad(loss, parameters, create_graph=estimates)
        if estimates:
            self.estimate(workload, parameters, slopes)
        torch._foreach_lerp_(self.momentum, [slope.detach() for slope in slopes], 0.1)
        with torch.no_grad():
            for p, m, h in zip(parameters, self.momentum, self.diagonal):
                p.sub_((m / h.abs().clamp_min(1e-2)).clamp_(-1, 1), alpha=1e-3)
        return {"loss": loss.detach()}

    def estimate(self, workload, parameters, slopes):
        generator = workload.generator("directions")
        signs = [torch.empty(p.shape).bernoulli_(0.5, generator=generator) for p in parameters]
        signs = [(2 * s - 1).to(p.device) for s, p in zip(signs, parameters)]
        curved = torch.autograd.grad(slopes, parameters, signs, allow_unused=True)
        for h, product, sign in zip(self.diagonal, curved, signs):
            if product is not None:
                h.lerp_((product * sign).detach(), 0.1)

    def state_dict(self):
        return {"diagonal": self.diagonal, "momentum": self.momentum}

    def load_state_dict(self, state_dict):
        self.diagonal, self.momentum = state_dict["diagonal"], state_dict["momentum"]
