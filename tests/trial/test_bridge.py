"""The same workload, submission and clock under L.Trainer train to the same parameters."""

import lightning as L
import pytest

from algoperf_pt.assemble import assemble
from algoperf_pt.bridge import TrainerBridge, trainer_batches, trainer_engine
from algoperf_pt.config import trial_folder
from algoperf_pt.driver import open_folder
from algoperf_pt.heartbeat import Heartbeat
from tests.support.runs import assert_same, compose, rows, run_inside, state

STEPS = ("max_steps=25", "eval_every_steps=10")


@pytest.mark.filterwarnings("ignore")
def test_under_a_trainer(data, tmp_path):
    _, ours = run_inside(data, tmp_path / "ours", *STEPS)
    config = compose(data, tmp_path / "trainer", *STEPS)
    folder = trial_folder(config)
    open_folder(config, folder)
    trial, clock = assemble(config, folder, Heartbeat())
    trial.use_engine(trainer_engine(trial.workload))
    trainer = L.Trainer(
        accelerator="cpu",
        max_epochs=-1,
        limit_val_batches=0,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[TrainerBridge(trial, clock)],
    )
    trainer.fit(trial.workload, trainer_batches(trial))
    assert trial.step == 25 and trial.stop_reason == "step_limit"
    assert_same(state(ours, 25)[0]["model"], state(folder, 25)[0]["model"])
    kept = [key for key in rows(ours)[0] if "/" in key]
    assert [[r[k] for k in kept] for r in rows(ours)] == [
        [r[k] for k in kept] for r in rows(folder)
    ]
