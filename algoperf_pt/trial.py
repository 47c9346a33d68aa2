"""What is one trial made of?  Workload, judged copy, submission, records, checkpoints; everything
but the time.
"""

from collections.abc import Iterator
from itertools import chain
from typing import Any, Protocol

import numpy as np
import torch

from algoperf_pt.checkpoint import Checkpoints
from algoperf_pt.errors import SubmissionError
from algoperf_pt.heartbeat import Heartbeat, Phase
from algoperf_pt.hparams import Hparams
from algoperf_pt.integrity import Guard, all_finite
from algoperf_pt.phases import Phases
from algoperf_pt.random_state import load_random_state, random_state, seed_all, seed_step
from algoperf_pt.ranks import Ranks
from algoperf_pt.records import Records
from algoperf_pt.seeds import derive
from algoperf_pt.spec import SPLITS
from algoperf_pt.status import TO_BE_CONTINUED
from algoperf_pt.submission import Metrics, Submission
from algoperf_pt.view import Engine, TimeView, WorkloadView
from algoperf_pt.workload import Workload
from algoperf_pt.workload_data import Batch


class Clock(Protocol):
    """What a trial needs of the callback that owns the clock."""

    elapsed: float

    def attach(self, trial: "Trial") -> None: ...

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state_dict: dict[str, Any]) -> None: ...

    def charge_lost(self, timed_when_killed: float) -> None: ...


class Listener(Protocol):
    """Display and loggers: called off the clock, on rank 0."""

    def on_log(self, trial: "Trial", row: dict[str, float], elapsed: float) -> None: ...

    def on_evaluation_end(self, trial: "Trial", row: dict[str, float]) -> None: ...

    def on_end(self, trial: "Trial") -> None: ...


class Trial:
    """One trial.  The clock calls it; see timing/wall_clock_target.py for the order.

    Args:
        config: the resolved configuration.
        workload: trained by the submission.
        judge: a second copy that the harness owns: evaluations are made on it.
        submission: the training algorithm.
        hparams: its point.
        clock: the callback that owns the time.
        ranks: the ranks of this trial.
        engine: how passes are run.
        records: files of the trial folder (they write on rank 0 only).
        checkpoints: the trial folder's checkpoints.
        listeners: display and loggers.
        heartbeats: tell the supervisor that the trial lives, and keep the clock's reading through a
            kill.
    """

    def __init__(
        self,
        config: dict[str, Any],
        workload: Workload,
        judge: Workload,
        submission: Submission,
        hparams: Hparams,
        clock: Clock,
        ranks: Ranks,
        engine: Engine,
        records: Records,
        checkpoints: Checkpoints,
        listeners: list[Listener],
        heartbeats: list[Heartbeat],
    ) -> None:
        self.config, self.spec, self.ranks = config, workload.spec, ranks
        self.workload, self.judge, self.submission, self.hparams = (
            workload,
            judge,
            submission,
            hparams,
        )
        self.clock, self.records, self.checkpoints, self.listeners = (
            clock,
            records,
            checkpoints,
            listeners,
        )
        self.seed: int = config["seed"]
        self.step = 0  # updates done
        self.drawn = 0  # batches that data selection has taken from the stream
        self.attempt = 0  # times that this trial was started before
        self.last_metrics: Metrics = {}
        self.evaluations: list[dict[str, float]] = []
        self.should_stop = False
        self.stop_reason: str | None = None
        self.stop_signal = 0  # the number of the signal that asked to stop
        self.phase = Phase.SETUP
        self.setup_seconds = 0.0  # untimed set-up of the submission
        self.heartbeats = heartbeats
        self._log_first: int = config["logger"]["first"]
        self._log_every: int = config["logger"]["every"]
        self._cuda = ranks.device.type == "cuda"
        self.phases = Phases(self._cuda)
        self.use_engine(engine)
        self._guard = Guard(workload.model, ranks)
        clock.attach(self)

    def use_engine(self, engine: Engine) -> None:
        """Run passes by this engine; the bridge to L.Trainer brings its own."""
        time = TimeView(self.spec.budget, lambda: self.clock.elapsed, lambda: self.evaluations)
        self.view = WorkloadView(
            self.workload,
            self.phases.watched(engine),
            self.ranks,
            time,
            self.seed,
            step=lambda: self.step,
            wants_metrics=lambda: self.wants_metrics,
            evaluate=self._evaluate_for_submission,
        )

    # ---- training

    def setup_submission(self) -> None:
        """Untimed, bounded, recorded: the caller measures it."""
        self.workload.train()
        seed_all(self.seed, self.ranks.rank)
        self.batch_size = self._checked_batch_size()
        self.submission.setup(self.view, self.hparams)

    def batches(self) -> Iterator[Batch]:
        """What the submission selects from the training stream, which continues at batch
        `drawn`."""
        stream = self.workload.data.train_batches(
            self.batch_size, derive(self.seed, "data"), self.ranks, start=self.drawn
        )
        return self.submission.select(self._counted(stream))

    def _counted(self, stream: Iterator[Batch]) -> Iterator[Batch]:
        with self._guard.harness_at_work():  # loader workers start with the first batch
            first = next(stream)
        for batch in chain([first], stream):
            self.drawn += 1
            yield batch

    def train_step(self, batch: Batch) -> Metrics:
        """One update by the submission."""
        seed_step(self.seed, self.step, self.ranks.rank, self._cuda)
        self.phases.begin(self.step, self.wants_metrics)
        self.last_metrics = self.submission.step(self.view, batch)
        self.phases.end()
        self.step += 1
        return self.last_metrics

    @property
    def wants_metrics(self) -> bool:
        """During a step: whether its metrics will be written."""
        return self._is_written(self.step)

    @property
    def row_due(self) -> bool:
        """After a step: whether its metrics are to be written."""
        return self._is_written(self.step - 1)

    def _is_written(self, number: int) -> bool:
        return number <= self._log_first or number % self._log_every == 0

    def stop(self, reason: str) -> None:
        """End the trial after this step."""
        self.should_stop, self.stop_reason = True, reason

    # ---- evaluation

    def prepare_for_eval(self) -> None:
        """On the clock: let the submission put the parameters to be judged into the model."""
        self.submission.prepare_for_eval(self.view)

    def resume_training(self) -> None:
        """On the clock: let the submission undo it."""
        self.submission.resume_training(self.view)
        self.workload.train()

    def evaluate(self) -> dict[str, float]:
        """Off the clock: check the parameters, load them into the judged copy, evaluate it on all
        splits.
        """
        self.phase = Phase.EVAL
        with self._guard.clock_stands(), self._guard.harness_at_work():
            self._guard.check_parameters()
            metrics = self._judge(SPLITS)
        self.phase = Phase.TRAIN
        return metrics

    def _judge(self, splits: tuple[str, ...]) -> dict[str, float]:
        python, numpy_state = random_state()["python"], random_state()["numpy"]
        self._load_judge()
        metrics: dict[str, float] = {}
        for split in splits:
            if self.spec.num_examples.get(split, 0) == 0:
                continue
            found = self.judge.evaluate(split, self.ranks)
            metrics |= {f"{split}/{name}": value for name, value in found.items()}
            if split != "train":
                metrics[f"{split}/num_examples"] = self.spec.num_examples[split]
        load_random_state({"python": python, "numpy": numpy_state})
        return metrics

    @torch.no_grad()
    def _load_judge(self) -> None:
        """Parameters from the training model; running statistics as their mean over ranks."""
        state = self.workload.model.state_dict()
        self.judge.model.load_state_dict(state)
        if self.ranks.world > 1:
            for name, buffer in self.judge.model.named_buffers():
                if name in state and buffer.is_floating_point():  # not constants, loaded by nobody
                    self.ranks.sum_(buffer).div_(self.ranks.world)

    def _evaluate_for_submission(self, split: str) -> dict[str, float]:
        if split not in ("train", "validation"):
            raise SubmissionError(
                f"the submission asks for an evaluation on {split!r}",
                expected='"train" or "validation": test data are not for training algorithms',
            )
        return self._judge((split,))

    def parameters_not_finite(self) -> bool:
        """Whether any parameter of the judged copy is NaN or infinite."""
        return not all_finite(self.judge.model.parameters())

    # ---- records

    def log_step(self, metrics: Metrics, elapsed: float) -> None:
        """Write a step's metrics if they are due, and refresh the display."""
        due = self.row_due
        row = {name: float(value) for name, value in (metrics or {}).items()}
        if due and self.ranks.world > 1:  # the mean over ranks is the global loss (view.mean_loss)
            gathered = self.ranks.gather(row)
            found = {name: [other[name] for other in gathered if name in other] for name in row}
            row = {name: float(np.mean(values)) for name, values in found.items()}
        if due:
            self.records.training_row({"global_step": self.step - 1, **row})
        if self.ranks.is_zero:
            for listener in self.listeners:
                listener.on_log(self, {"global_step": self.step, **row}, elapsed)

    def record_evaluation(self, row: dict[str, float]) -> None:
        """Append an evaluation's row; the submission sees it from now on."""
        self.evaluations.append(row)
        self.records.evaluation_row(row)
        if self.ranks.is_zero:
            for listener in self.listeners:
                listener.on_evaluation_end(self, row)

    def beat(self, phase: Phase, timed: float) -> None:
        """The trial lives and has used `timed` seconds."""
        for heartbeat in self.heartbeats:
            heartbeat.beat(phase, timed)

    # ---- state

    def save_checkpoint(self) -> None:
        """All state, atomically: shared parts by rank 0, the rest by each rank."""
        shared = {
            "model": self.workload.model.state_dict(),
            "submission": self.submission.state_dict(),
            "clock": self.clock.state_dict(),
            "step": self.step,
            "drawn": self.drawn,
            "attempt": self.attempt,
            "evaluations": self.evaluations,
            "records": self.records.state_dict(),
            "stop_reason": self.stop_reason,
        }
        own = {
            "random": random_state(),
            "submission": self.submission.rank_state_dict(),
            "statistics": self.workload.statistics(),
        }
        self.checkpoints.save(self.step, shared, own, self.ranks)

    def load_checkpoint(self, timed_when_killed: float) -> bool:
        """Continue from the newest sound checkpoint, if there is one; charge the time that
        is lost."""
        loaded = self.checkpoints.load(self.ranks)
        if loaded is None:
            return False
        shared, own = loaded
        self.workload.model.load_state_dict(shared["model"])
        self.workload.load_statistics(own["statistics"])
        self.submission.load_state_dict(shared["submission"])
        self.submission.load_rank_state_dict(own["submission"])
        self.clock.load_state_dict(shared["clock"])
        self.clock.charge_lost(timed_when_killed)
        self.step, self.drawn = shared["step"], shared["drawn"]
        self.evaluations = shared["evaluations"]
        if shared["stop_reason"] and shared["stop_reason"] not in TO_BE_CONTINUED:
            self.stop(shared["stop_reason"])  # it was killed before it could write its result
        self.records.load_state_dict(shared["records"])
        load_random_state(own["random"])
        return True

    def _checked_batch_size(self) -> int:
        size = self.submission.batch_size(self.spec)
        if not isinstance(size, int) or size <= 0 or size % self.ranks.world:
            raise SubmissionError(
                f"the submission asks for a batch size of {size!r}",
                expected=f"a positive whole number divisible by {self.ranks.world} ranks",
                where="Submission.batch_size",
            )
        return size
