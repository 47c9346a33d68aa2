"""The class that runs submissions, made to die or to tell what it has imported; and small files."""

import os
import sys
from pathlib import Path

from algoperf_pt.reference.submission import ReferenceSubmission


class Dies(ReferenceSubmission):
    """Ends its process's trial by an error at a step that the environment gives."""

    def step(self, workload, batch):
        if os.environ.get("TEST_DIES_AT") == str(workload.step):
            raise RuntimeError("as if the machine were gone")
        return super().step(workload, batch)


class Listed(ReferenceSubmission):
    """Writes the top-level names of all loaded modules."""

    def prepare_for_eval(self, workload):
        super().prepare_for_eval(workload)
        names = sorted({name.partition(".")[0] for name in sys.modules})
        Path(os.environ["TEST_MODULES"]).write_text(" ".join(names))


SMALL = """
import torch

from algoperf import spec

PASS = dict(mode=spec.ForwardPassMode.TRAIN, rng=None, update_batch_norm=True)


def get_batch_size(workload_name):
    return {"digits": 32}[workload_name]


def init_optimizer_state(workload, model_params, model_state, hyperparameters, rng):
    return {"optimizer": torch.optim.SGD(model_params.parameters(), lr=0.1)}


def gradient(workload, params, batch):
    logits, _ = workload.model_fn(
        params=params, augmented_and_preprocessed_input_batch=batch, model_state=None, **PASS
    )
    found = workload.loss_fn(batch["targets"], logits, batch.get("weights"))
    loss = found["summed"] / found["n_valid_examples"]
    loss.backward()
    return loss.item()


def update_params(workload, current_param_container, batch, optimizer_state, global_step):
    optimizer_state["optimizer"].zero_grad()
    loss = gradient(workload, current_param_container, batch)
    optimizer_state["optimizer"].step()
    workload.metrics_logger.append_scalar_metrics({"loss": loss}, global_step)
    return optimizer_state, current_param_container, None


def data_selection(workload, input_queue, *others):
    return next(input_queue)
"""


def write(folder, more="", without=(), text=SMALL, name="submission.py"):
    """A submission's file: the small one, without some functions, with more text at its end."""
    for function in without:
        text = text.replace(f"def {function}(", f"def _{function}(")
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{text}\n{more}\n")
    return path
