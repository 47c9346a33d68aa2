"""Training algorithms that do odd or forbidden things, for the tests of the harness."""

import os
import random
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import torch
from torch import nn

from algoperf_pt.errors import DataError
from algoperf_pt.optimizer_submission import OptimizerSubmission
from algoperf_pt.submission import Submission


class Noisy(OptimizerSubmission):
    """Uses every global generator, draws extra batches, and can kill its process or fall asleep:
    all of it must survive a resume."""

    count = 0

    def select(self, batches):
        for batch in batches:
            self.count += (
                1  # before the yield: what comes after it has not happened at a checkpoint
            )
            yield next(batches) if self.count % 3 == 0 else batch  # throw one away

    def step(self, workload, batch):
        kill_at = os.environ.get("TEST_KILL_AT")
        rank = os.environ.get("TEST_KILL_RANK", "0")
        if kill_at and int(kill_at) == workload.step and str(workload.rank) == rank:
            os.kill(os.getpid(), signal.SIGKILL)
        if os.environ.get("TEST_SLEEP_AT") == str(workload.step) and str(workload.rank) == rank:
            time.sleep(600)
        noise = torch.randn(()).item() + random.random() + np.random.rand()
        metrics = super().step(workload, batch)
        with torch.no_grad():
            for p in workload.parameters():
                p.mul_(1 + 1e-6 * noise if workload.world_size == 1 else 1 + 1e-6)
        return metrics

    def state_dict(self):
        return {**super().state_dict(), "count": self.count}

    def load_state_dict(self, state_dict):
        self.count = state_dict["count"]
        super().load_state_dict(state_dict)


class NanAt(OptimizerSubmission):
    def __init__(self, at, **kwargs):
        super().__init__(**kwargs)
        self.at = at

    def step(self, workload, batch):
        if workload.step == self.at:
            for p in workload.parameters():
                p.data.fill_(float("nan"))
        return super().step(workload, batch)


class RaiseAt(OptimizerSubmission):
    """Raises at a step."""

    errors = {
        "oom": lambda: torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
        "data": lambda: DataError("shard x.tar is short"),
        "bug": lambda: ZeroDivisionError("division by zero"),
    }

    def __init__(self, kind, at, **kwargs):
        super().__init__(**kwargs)
        self.kind, self.at = kind, at

    def step(self, workload, batch):
        if workload.step == self.at:
            raise self.errors[self.kind]()
        return super().step(workload, batch)


class Done(OptimizerSubmission):
    def step(self, workload, batch):
        self.done = workload.step >= 6
        return super().step(workload, batch)


class Hang(OptimizerSubmission):
    """Stops at a step, on one rank."""

    def __init__(self, at=5, rank=0, **kwargs):
        super().__init__(**kwargs)
        self.at, self.rank = at, rank

    def step(self, workload, batch):
        if workload.step == self.at and workload.rank == self.rank:
            time.sleep(600)
        return super().step(workload, batch)


class Slow(OptimizerSubmission):
    def step(self, workload, batch):
        time.sleep(0.02)
        return super().step(workload, batch)


class Replace(OptimizerSubmission):
    """Puts another tensor in the place of a parameter."""

    def prepare_for_eval(self, workload):
        layer = workload.model.net["layer2"]
        layer.weight = nn.Parameter(layer.weight.detach().clone())


class Freeze(OptimizerSubmission):
    def prepare_for_eval(self, workload):
        workload.model.net["layer2"].weight.requires_grad_(False)


class Widen(OptimizerSubmission):
    """Adds parameters that the workload does not have."""

    def prepare_for_eval(self, workload):
        workload.model.extra = nn.Linear(2, 2)


class BusyThread(OptimizerSubmission):
    """Computes in a thread, also while the clock stands, until `quit` is set: how long a set-up
    takes beside it depends on the machine."""

    quit = threading.Event()

    def setup(self, workload, hparams):
        super().setup(workload, hparams)
        self.quit.clear()

        def work():
            while not self.quit.is_set():
                sum(range(10_000))

        threading.Thread(target=work, daemon=True).start()


class BusyProcess(OptimizerSubmission):
    """Computes in a process of its own."""

    def setup(self, workload, hparams):
        super().setup(workload, hparams)
        code = "import time; e=time.time()+20\nwhile time.time()<e: pass"
        self.process = subprocess.Popen([sys.executable, "-c", code])


class Drift(OptimizerSubmission):
    """Lets the ranks' parameters drift apart."""

    def step(self, workload, batch):
        metrics = super().step(workload, batch)
        with torch.no_grad():
            for p in workload.parameters():
                p.add_(1e-3 * workload.rank)
        return metrics


class Unsafe(OptimizerSubmission):
    """A state that is no plain value."""

    def state_dict(self):
        return {**super().state_dict(), "odd": np.random.default_rng(0)}


class Average(OptimizerSubmission):
    """Evaluates an average of the parameters and goes on with the parameters themselves."""

    def setup(self, workload, hparams):
        super().setup(workload, hparams)
        self.mean = [p.detach().clone() for p in workload.parameters()]

    def step(self, workload, batch):
        metrics = super().step(workload, batch)
        torch._foreach_lerp_(self.mean, [p.detach() for p in workload.parameters()], 0.1)
        return metrics

    def prepare_for_eval(self, workload):
        self.kept = [p.detach().clone() for p in workload.parameters()]
        self._put(workload, self.mean)

    def resume_training(self, workload):
        self._put(workload, self.kept)

    def _put(self, workload, tensors):
        for p, tensor in zip(workload.parameters(), tensors):
            p.data.copy_(tensor)

    def state_dict(self):
        return {**super().state_dict(), "mean": self.mean}

    def load_state_dict(self, state_dict):
        self.mean = state_dict["mean"]
        super().load_state_dict(state_dict)


class Sam(Submission):
    """Two forward and backward passes a step, through the whole public interface (Foret et
    al., arXiv 2010.01412)."""

    def batch_size(self, spec):
        return 64

    def setup(self, workload, hparams):
        self.optimizer = torch.optim.SGD(workload.parameters(), lr=hparams.learning_rate)
        self.rho = hparams["rho"]

    def step(self, workload, batch):
        params = list(workload.parameters())
        loss = self._gradient(workload, batch, update_batch_norm=True)
        norm = torch.linalg.vector_norm(torch.stack([p.grad.norm() for p in params]))
        moves = [p.grad * (self.rho / norm) for p in params]
        with torch.no_grad():
            torch._foreach_add_(params, moves)
        self._gradient(workload, batch, update_batch_norm=False)
        with torch.no_grad():
            torch._foreach_sub_(params, moves)
        self.optimizer.step()
        assert workload.time.remaining <= workload.time.budget
        return {"loss": loss.detach()}

    def _gradient(self, workload, batch, update_batch_norm):
        self.optimizer.zero_grad()
        logits = workload.forward(batch, update_batch_norm=update_batch_norm)
        loss = workload.mean_loss(workload.loss(batch, logits))
        workload.backward(loss)
        return loss


class Mine(torch.optim.Optimizer):
    """A user's own optimizer, with a signature of its own."""

    def __init__(self, params, lr, slope=1.0):
        super().__init__(params, {"lr": lr, "slope": slope})

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                p.add_(p.grad.sign(), alpha=-group["lr"] * group["slope"])


class RaiseOnRankOne(OptimizerSubmission):
    def step(self, workload, batch):
        if workload.rank == 1 and workload.step == 12:
            raise DataError("shard x.tar is short")
        return super().step(workload, batch)


class SlowOnRankOne(OptimizerSubmission):
    """Rank 1 works on after the last thing that the ranks do together."""

    def step(self, workload, batch):
        metrics = super().step(workload, batch)
        time.sleep(0.05 * workload.rank)
        return metrics


class Masked(OptimizerSubmission):
    """Trains on some classes only, so the ranks' numbers of valid examples differ."""

    def select(self, batches):
        for batch in batches:
            yield {**batch, "weights": (batch["targets"] >= 3).float()}


class AsTwoRanks(OptimizerSubmission):
    """On one rank what two do: each half of the batch is normalised by itself and has running
    statistics of its own, of which the mean is judged."""

    def setup(self, workload, hparams):
        super().setup(workload, hparams)
        norms = [m for m in workload.model.modules() if hasattr(m, "running_mean")]
        self.buffers = [buffer for norm in norms for buffer in norm.buffers()]
        self.own = [[buffer.clone() for buffer in self.buffers] for _ in range(2)]

    def gradient(self, workload, batch):
        self.optimizer.zero_grad()
        total = 0.0
        for half, own in enumerate(self.own):
            part = {name: rows[half::2] for name, rows in batch.items()}
            self.put(own)
            logits = workload.forward(part, dropout_rate=self.dropout_rate(workload.step))
            loss = workload.loss(part, logits, self._label_smoothing)
            scaled = loss.summed / batch["weights"].sum()
            workload.backward(scaled)
            total = total + scaled.detach()
            self.own[half] = [buffer.clone() for buffer in self.buffers]
        return total, None

    def prepare_for_eval(self, workload):
        self.put([(a + b) / 2 if a.is_floating_point() else a for a, b in zip(*self.own)])

    @torch.no_grad()
    def put(self, values):
        for buffer, value in zip(self.buffers, values):
            buffer.copy_(value)


class ByRate(OptimizerSubmission):
    """What goes wrong depends on the learning rate, so the trials of one sweep differ; nothing does
    with TEST_HEALED."""

    def setup(self, workload, hparams):
        super().setup(workload, hparams)
        self.rate = hparams["learning_rate"]

    def step(self, workload, batch):
        if workload.step == 15 and not os.environ.get("TEST_HEALED"):
            if self.rate == 0.002:
                raise ZeroDivisionError("division by zero")
            if self.rate == 0.003:
                os.kill(os.getppid(), signal.SIGKILL)  # its first process
                time.sleep(600)
        return super().step(workload, batch)
