"""A thread goes on with the training while the evaluation waits for nobody."""

import threading

import torch
from plain import Plain


class TrainsWhileJudged(Plain):
    def prepare_for_eval(self, workload):
        self.parameters = list(workload.parameters())
        self.stop = False
        self.thread = threading.Thread(target=self.work, daemon=True)
        self.thread.start()

    def work(self):
        while not self.stop:
            with torch.no_grad():
                for p in self.parameters:
                    p.sub_(p.grad if p.grad is not None else 0.0, alpha=1e-6)

    def resume_training(self, workload):
        self.stop = True
        self.thread.join()
