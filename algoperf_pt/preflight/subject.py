"""One rank's share of a trial, set up in this process, and the things that are measured on it.

With several ranks asked, this process has one rank's rows; what the ranks do together (averaging of
gradients) is not there.
"""

import copy
import gc
import itertools
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import torch

from algoperf_pt.assemble import assemble
from algoperf_pt.heartbeat import Heartbeat
from algoperf_pt.measuring import Stopwatch
from algoperf_pt.preflight.longest import longest_evaluation_batch, longest_training_batch
from algoperf_pt.preflight.sampled import Sampled
from algoperf_pt.random_state import random_state
from algoperf_pt.trial import Trial
from algoperf_pt.workload_data import Batch, WorkloadData

_KEPT = 3  # batches of the loader of which the largest is looked for
_FEWEST = 3  # timed steps
_MOST = 200  # timed steps, or batches of the loader


class Subject:
    """A trial in a temporary folder.

    Args:
        config: composed; one device.
        folder: of the trial.
        ranks: how many the trial is to have.
    """

    def __init__(self, config: dict[str, Any], folder: Path, ranks: int) -> None:
        self._config, self._folder, self.world = config, folder, ranks
        self.batch: Batch = {}
        self._seen: list[Batch] = []
        self._assemble()

    def _assemble(self) -> None:
        start = time.perf_counter()
        self.trial, clock = assemble(self._config, self._folder, Heartbeat())
        self.asked = self.trial.batch_size
        self.rows = -(-self.asked // self.world)
        self.trial.batch_size = self.rows
        evaluated = self.trial.spec.eval_batch_size
        self.trial.judge.data.eval_batch_size = -(-evaluated // self.world)
        clock.on_train_start(self.trial, self.trial.workload)
        self.trial.ranks.synchronize()
        self.seconds_to_set_up = time.perf_counter() - start

    # ---- training

    def load(self, seconds: float) -> dict[str, Any]:
        """Rows a second of the loader alone, those that were made ahead left out."""
        loading = self.trial.workload.data.loading
        stream, start = self.trial.batches(), time.perf_counter()
        self._stream = stream
        ahead = 1 + loading.workers * loading.prefetch
        self._seen = list(itertools.islice(stream, min(ahead, _KEPT)))
        first = time.perf_counter() - start
        for _ in range(ahead - len(self._seen)):
            next(stream)
        begin, count = time.perf_counter(), 0
        while count < _FEWEST or (time.perf_counter() - begin < seconds and count < _MOST):
            self._seen = [*self._seen, next(stream)][-_KEPT:]
            self.trial.ranks.synchronize()
            count += 1
        spent = time.perf_counter() - begin
        return {
            "seconds_a_batch": spent / count,
            "rows_a_second": self.rows * count / spent,
            "batches": count,
            "first_batch_seconds": first,
            "workers": loading.workers,
        }

    def steps(self, seconds: float) -> dict[str, Any]:
        """Seconds of each step on ordinary batches, after the first ones."""
        first = self._timed(next(self._stream))
        self._timed(next(self._stream))
        times: list[float] = []
        while len(times) < _FEWEST or (sum(times) < seconds and len(times) < _MOST):
            times.append(self._timed(next(self._stream)))
        return {"first_step_seconds": first, "step_seconds": times}

    def longest(self) -> dict[str, Any]:
        """A step on the largest batch of training."""
        data, ranks = self.trial.workload.data, self.trial.ranks
        self.batch, how = longest_training_batch(data, self.rows, self._seen, ranks)
        self._seen = []
        seconds = self._timed(self.batch)
        return {"rows": self.rows, "chosen": how, "shape": shape(self.batch), "seconds": seconds}

    def _timed(self, batch: Batch) -> float:
        watch = Stopwatch(self.trial.ranks.device)
        with watch:
            self.trial.train_step(batch)
        return watch.wall

    # ---- evaluation

    @torch.no_grad()
    def evaluation_batch(self) -> dict[str, Any]:
        """The evaluation step on the largest batch, with what the submission puts into the model;
        training is not resumed yet.
        """
        trial = self.trial
        trial.prepare_for_eval()
        trial.judge.eval()
        rows = trial.judge.data.eval_batch_size
        batch, split = longest_evaluation_batch(trial.judge.data, rows, trial.ranks)
        watch = Stopwatch(trial.ranks.device)
        with watch:
            trial.judge.eval_step(batch)
        return {"rows": rows, "split": split, "shape": shape(batch), "seconds": watch.wall}

    def evaluation(self, seconds: float) -> dict[str, Any]:
        """All splits, or as much of each as there is time for; the rest is extrapolated."""
        trial, data = self.trial, self.trial.judge.data
        sampled = Sampled(data, seconds, self.world)
        trial.judge.data = cast(WorkloadData, sampled)
        try:
            start = time.perf_counter()
            trial.evaluate()
            trial.ranks.synchronize()
            spent = time.perf_counter() - start
        finally:
            trial.judge.data = data
        return {"spent_seconds": spent, **sampled.estimate(spent)}

    def after_evaluation(self) -> dict[str, Any]:
        """Training is resumed with a step on the largest batch."""
        self.trial.resume_training()
        return {"seconds": self._timed(self.batch)}

    # ---- checkpoint

    def checkpoint(self) -> dict[str, Any]:
        """Write one, and continue from it in a trial that is set up anew; `differs` is the first
        thing that is not as it was.
        """
        start = time.perf_counter()
        self.trial.save_checkpoint()
        saved = time.perf_counter() - start
        (path,) = self._folder.glob("checkpoint_*")
        size = sum(file.stat().st_size for file in path.iterdir())
        before, step = state(self.trial), self.trial.step
        self._forget()
        self._assemble()
        differs = difference(before, state(self.trial))
        if differs is None and self.trial.step != step:
            differs = f"step: {self.trial.step} instead of {step}"
        restored = self.seconds_to_set_up
        return {
            "save_seconds": saved,
            "bytes": size,
            "restore_seconds": restored,
            "differs": differs,
        }

    def _forget(self) -> None:
        """The first trial's memory, which the second one takes."""
        del self.trial, self.batch, self._stream
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    # ---- another batch size

    def try_rows(self, rows: int) -> None:
        """Steps with another number of rows, an evaluation batch between them."""
        self.rows = self.trial.batch_size = rows
        data, ranks = self.trial.workload.data, self.trial.ranks
        self._seen = [next(self.trial.batches())]
        self.batch, _ = longest_training_batch(data, rows, self._seen, ranks)
        self._seen = []
        self._timed(self.batch)
        self.evaluation_batch()
        self.after_evaluation()

    def forget_batches(self) -> None:
        """What an attempt that failed has left behind."""
        self.batch, self._seen = {}, []
        for parameter in self.trial.workload.parameters():
            parameter.grad = None
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def shape(batch: Batch) -> dict[str, list[int]]:
    """Name -> sizes of a batch's tensors."""
    return {name: list(v.shape) for name, v in batch.items() if isinstance(v, torch.Tensor)}


def state(trial: Trial) -> dict[str, Any]:
    """A copy, on the CPU, of everything that a checkpoint must bring back."""
    parts = {
        "model": trial.workload.model.state_dict(),
        "statistics": trial.workload.statistics(),
        "submission": trial.submission.state_dict(),
        "rank": trial.submission.rank_state_dict(),
        "random": random_state(),
    }
    copied: dict[str, Any] = _on_cpu(parts)
    return copied


def _on_cpu(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return value.detach().cpu().clone()
    if isinstance(value, dict):
        return {key: _on_cpu(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_on_cpu(part) for part in value]
    return copy.deepcopy(value)


def difference(a: Any, b: Any, path: str = "state") -> str | None:
    """Path of the first thing that is not the same to the last bit; None: all is."""
    if type(a) is not type(b):
        return f"{path}: {type(b).__name__} instead of {type(a).__name__}"
    if isinstance(a, torch.Tensor):
        return None if _same_bits(a, b) else path
    if isinstance(a, (dict, list)):
        return _first(path, a, b)
    return None if a == b or (a != a and b != b) else path


def _first(path: str, a: Any, b: Any) -> str | None:
    keys = list(a) if isinstance(a, dict) else range(len(a))
    if len(a) != len(b) or (isinstance(a, dict) and a.keys() != b.keys()):
        return f"{path}: {len(b)} entries instead of {len(a)}, or others"
    found: Iterator[str | None] = (difference(a[key], b[key], f"{path}.{key}") for key in keys)
    return next((one for one in found if one is not None), None)


def _same_bits(a: torch.Tensor, b: torch.Tensor) -> bool:
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    bits = [tensor.contiguous().reshape(-1).view(torch.uint8) for tensor in (a, b)]
    return torch.equal(*bits)
