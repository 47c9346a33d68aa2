"""Ends its trial itself, and has no hyperparameters."""

import torch
from algoperf import spec

LAST_STEP = 10


def get_batch_size(workload_name):
    raise ValueError(workload_name)


def init_optimizer_state(workload, model_params, model_state, hyperparameters, rng):
    assert hyperparameters is None
    return {"optimizer": torch.optim.Adagrad(model_params.parameters(), lr=0.01)}


def update_params(**given):
    if given["global_step"] >= LAST_STEP:
        raise spec.TrainingCompleteError(f"Stopping at step {LAST_STEP}.")
    workload, batch = given["workload"], given["batch"]
    given["optimizer_state"]["optimizer"].zero_grad()
    logits, model_state = workload.model_fn(
        params=given["current_param_container"],
        augmented_and_preprocessed_input_batch=batch,
        model_state=given["model_state"],
        mode=spec.ForwardPassMode.TRAIN,
        rng=given["rng"],
        update_batch_norm=True,
    )
    found = workload.loss_fn(batch["targets"], logits, batch.get("weights"))
    (found["summed"] / found["n_valid_examples"]).backward()
    given["optimizer_state"]["optimizer"].step()
    return given["optimizer_state"], given["current_param_container"], model_state


def data_selection(workload, input_queue, *others):
    return next(input_queue)
