"""Its own data selection: of two batches every other example in the order of their losses; every
third step uses a batch again (echoing).
"""

import torch
from algorithmic_efficiency import spec


def get_batch_size(workload_name):
    raise ValueError(workload_name)


def init_optimizer_state(workload, model_params, model_state, hyperparameters, rng):
    optimizer = torch.optim.SGD(model_params.parameters(), lr=0.05, momentum=0.9)
    return {"optimizer": optimizer, "kept": None, "draws": 0, "note": "echo"}


def update_params(
    workload,
    current_param_container,
    current_params_types,
    model_state,
    hyperparameters,
    batch,
    loss_type,
    optimizer_state,
    eval_results,
    global_step,
    rng,
):
    assert [step for step, _ in eval_results] == sorted(step for step, _ in eval_results)
    optimizer_state["optimizer"].zero_grad()
    logits, model_state = workload.model_fn(
        current_param_container, batch, model_state, spec.ForwardPassMode.TRAIN, rng, True
    )
    found = workload.loss_fn(batch["targets"], logits, batch["weights"], 0.0)
    loss = found["summed"] / found["n_valid_examples"]
    loss.backward()
    optimizer_state["optimizer"].step()
    workload.metrics_logger.append_scalar_metrics({"loss": loss.detach()}, global_step)
    return optimizer_state, current_param_container, model_state


def data_selection(
    workload,
    input_queue,
    optimizer_state,
    current_param_container,
    model_state,
    hyperparameters,
    global_step,
    rng,
):
    if global_step % 3 == 2:
        return optimizer_state["kept"]
    first, second = next(input_queue), next(input_queue)
    both = {name: torch.cat([first[name], second[name]]) for name in first}
    logits, _ = workload.model_fn(
        current_param_container, both, model_state, spec.ForwardPassMode.EVAL, rng, False
    )
    losses = workload.loss_fn(both["targets"], logits, both["weights"])["per_example"]
    losses = losses.flatten(1).sum(1) if losses.dim() > 1 else losses
    chosen = losses.argsort()[::2]
    optimizer_state["draws"] += 2
    optimizer_state["kept"] = {name: rows[chosen] for name, rows in both.items()}
    return optimizer_state["kept"]
