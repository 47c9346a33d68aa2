"""The same workload, submission and clock under L.Trainer: a callback that puts the trial's parts
into its hooks.

Scored runs use algoperf_pt.loop; this shows that the parts are ordinary Lightning ones
(docs/adr/0006-lightning.md).
"""

from collections.abc import Iterator
from typing import Any

import lightning as L
from torch.utils.data import DataLoader, IterableDataset

from algoperf_pt.trial import Trial
from algoperf_pt.view import Engine
from algoperf_pt.workload_data import Batch


class TrainerBridge(L.Callback):
    """Drives a trial from L.Trainer's hooks.  `Trainer(callbacks=[TrainerBridge(trial, clock)],
    max_epochs=-1, ...)`.

    Args:
        trial: assembled, its submission set up.
        clock: its clock (a callback).
    """

    def __init__(self, trial: Trial, clock: L.Callback) -> None:
        self.trial, self.clock = trial, clock

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """The module's training step becomes the submission's update."""
        self.trial.workload.trial_step = self.trial.train_step
        self.clock.on_train_start(trainer, pl_module)

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """The clock's hook."""
        self.clock.on_train_batch_start(trainer, pl_module, batch, batch_idx)

    def on_train_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """The clock's hook; the trial's word to stop becomes the Trainer's."""
        self.clock.on_train_batch_end(trainer, pl_module, self.trial.last_metrics, batch, batch_idx)
        trainer.should_stop = self.trial.should_stop

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """The clock's hook."""
        self.clock.on_train_end(trainer, pl_module)


def trainer_engine(workload: L.LightningModule) -> Engine:
    """Passes under L.Trainer: only manual_backward averages gradients there."""
    workload.fabric = None  # from here on it belongs to the Trainer
    return Engine(workload, workload.manual_backward)


def trainer_batches(trial: Trial) -> DataLoader[Batch]:
    """The trial's stream in the form that L.Trainer takes."""
    return DataLoader(_Stream(trial), batch_size=None)


class _Stream(IterableDataset[Batch]):
    def __init__(self, trial: Trial) -> None:
        self.trial = trial

    def __iter__(self) -> Iterator[Batch]:
        return self.trial.batches()
