"""Sets what the whole process shares: seeds, torch's flags, the environment."""

import os
import random

import torch
from plain import Plain


class ResetsSeeds(Plain):
    def step(self, workload, batch):
        torch.manual_seed(7)
        random.seed(7)
        torch.set_float32_matmul_precision("medium")
        torch.set_num_threads(2)
        os.environ["OMP_NUM_THREADS"] = "64"
        return super().step(workload, batch)
